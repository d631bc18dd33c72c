"""An echo server on Twisted: `python3 echo_twisted.py tcp://127.0.0.1:0`."""

from twisted.internet import interfaces, protocol, reactor
from zope.interface import implementer

import common


@implementer(interfaces.IHalfCloseableProtocol)
class Echo(protocol.Protocol):
    def connectionMade(self):
        self.transport.setTcpNoDelay(True)
        self.transport.bufferSize = common.buffer_size()
        # While a client does not read, it is not read from either.
        self.transport.registerProducer(self.transport, True)

    def dataReceived(self, data):
        self.transport.write(data)

    def readConnectionLost(self):
        # Otherwise what still waits to be sent would be lost.
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def writeConnectionLost(self):
        pass


if __name__ == "__main__":
    factory = protocol.Factory.forProtocol(Echo)
    listener = reactor.listenTCP(common.port(), factory, backlog=common.BACKLOG, interface=common.HOST)
    common.greet(listener.getHost().port)
    reactor.run()
