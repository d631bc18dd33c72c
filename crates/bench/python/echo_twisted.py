"""An echo server on Twisted: `python3 echo_twisted.py tcp://127.0.0.1:0`."""

from twisted.internet import protocol, reactor

import common


class Echo(protocol.Protocol):
    def connectionMade(self):
        self.transport.setTcpNoDelay(True)
        self.transport.bufferSize = common.buffer_size()
        # What a client does not read is not read from it either.
        self.transport.registerProducer(self.transport, True)

    def dataReceived(self, data):
        self.transport.write(data)


if __name__ == "__main__":
    factory = protocol.Factory.forProtocol(Echo)
    listener = reactor.listenTCP(common.port(), factory, backlog=common.BACKLOG, interface=common.HOST)
    common.greet(listener.getHost().port)
    reactor.run()
