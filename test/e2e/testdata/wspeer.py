"""A server and a client of WebSocket by the library websockets, which compresses
messages (permessage-deflate). Prints "ok" when all that was said came back."""

import asyncio
import sys

import websockets


async def echo(socket, path=None):
    try:
        async for message in socket:
            await socket.send(message)
    except websockets.ConnectionClosed:
        pass  # for what the client has said


async def serve():
    async with websockets.serve(echo, "127.0.0.1", 0, subprotocols=["chat"], max_size=2**24, ping_interval=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


async def say(url):
    async with websockets.connect(url, subprotocols=["chat"], max_size=2**22) as socket:
        assert socket.subprotocol == "chat", socket.subprotocol
        names = [extension.name for extension in socket.extensions]
        assert names == ["permessage-deflate"], names
        for message in ["", "hello", "x" * 125, "x" * 126, "ä" * 40000, bytes(range(256)) * 4096]:
            await socket.send(message)
            assert await socket.recv() == message, len(message)
        await socket.send(iter(["in ", "three ", "pieces"]))
        assert await socket.recv() == "in three pieces"
        await (await socket.ping(b"?"))
        await socket.close(4000, "done")
        assert (socket.close_code, socket.close_reason) == (4000, "done"), socket.close_code
    print("ok")


if __name__ == "__main__":
    asyncio.run(serve() if sys.argv[1] == "serve" else say(sys.argv[2]))
