"""An echo server on uvloop, with protocols: `python3 echo_uvloop.py tcp://127.0.0.1:0`.

uvloop receives into one buffer of its own in any case, and hands out what it received as bytes that can be written as they
are, so that a buffer of the protocol's would only cost calls. It sets TCP_NODELAY itself.
"""

import asyncio

import uvloop

import echo_asyncio


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

    def pause_writing(self):
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()


if __name__ == "__main__":
    uvloop.run(echo_asyncio.serve(Echo))
