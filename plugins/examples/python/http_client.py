"""HTTP requests by wasi:http."""

from urllib.parse import urlsplit

from componentize_py_types import Err, Ok
from wit_world.imports import wasi_http_types as http
from wit_world.imports import outgoing_handler
from wit_world.imports.streams import StreamError_Closed

# What a stream takes at once.
CHUNK = 4096


class Unreachable(Exception):
    """No answer came."""


def post(address: str, body: bytes) -> tuple[int, bytes]:
    """Sends JSON, and returns the status and the body of whatever is answered."""
    try:
        return answer(send(address, body))
    except Err as error:
        # Such as ErrorCode_HttpRequestDenied.
        raise Unreachable(type(error.value).__name__) from error


def send(address: str, body: bytes) -> http.FutureIncomingResponse:
    target = urlsplit(address)
    request = http.OutgoingRequest(http.Fields.from_list([("content-type", b"application/json")]))
    request.set_method(http.Method_Post())
    request.set_scheme(http.Scheme_Http() if target.scheme == "http" else http.Scheme_Https())
    request.set_authority(target.netloc)
    request.set_path_with_query(target.path)
    outgoing = request.body()
    future = outgoing_handler.handle(request, None)
    with outgoing.write() as stream:
        for at in range(0, len(body), CHUNK):
            stream.blocking_write_and_flush(body[at : at + CHUNK])
    http.OutgoingBody.finish(outgoing, None)
    return future


def answer(future: http.FutureIncomingResponse) -> tuple[int, bytes]:
    with future.subscribe() as pollable:
        pollable.block()
    match future.get():
        case Ok(Ok(response)):
            return response.status(), read(response.consume())
        case Ok(Err() as error):
            raise error
    raise Unreachable("the answer was taken before")


def read(body: http.IncomingBody) -> bytes:
    """All of a body, of which the operator lets no more than 4 MiB through."""
    content = bytearray()
    with body.stream() as stream:
        while True:
            try:
                content += stream.blocking_read(64 << 10)
            except Err as error:
                if isinstance(error.value, StreamError_Closed):
                    return bytes(content)
                raise
