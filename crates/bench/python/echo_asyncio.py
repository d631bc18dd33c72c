"""An echo server on asyncio, with protocols: `python3 echo_asyncio.py tcp://127.0.0.1:0`.

asyncio receives into a new buffer of 256 KiB each time, unless the protocol has one of its own: that takes a third of the
time. All connections have the same one, and what is written is a copy of it. asyncio sets TCP_NODELAY itself.
"""

import asyncio

import common

BUFFER = memoryview(bytearray(common.buffer_size()))


class Echo(asyncio.BufferedProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def get_buffer(self, sizehint):
        return BUFFER

    def buffer_updated(self, nbytes):
        # Newer versions of Python keep what they cannot send at once, without a copy of their own.
        self.transport.write(bytes(BUFFER[:nbytes]))

    def pause_writing(self):
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()


async def serve(protocol):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, common.HOST, common.port(), backlog=common.BACKLOG)
    common.greet(server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Echo))
