"""The echo server of asyncio on uvloop: `python3 echo_uvloop.py tcp://127.0.0.1:0`."""

import uvloop

import echo_asyncio

if __name__ == "__main__":
    uvloop.run(echo_asyncio.serve())
