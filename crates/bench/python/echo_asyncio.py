"""An echo server on asyncio, with protocols: `python3 echo_asyncio.py tcp://127.0.0.1:0`.

How much is received at a time is asyncio's choice. It sets TCP_NODELAY itself.
"""

import asyncio

import common


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

    def pause_writing(self):
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()


async def serve():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, common.HOST, common.port(), backlog=common.BACKLOG)
    common.greet(server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
