"""For Flask."""

from collections.abc import Callable

from flask import Response, request

from postrider_receiver.receiver import Receiver


def view(receiver: Receiver) -> Callable[[], Response]:
    """A view for POST: `app.add_url_rule(path, view_func=view(receiver), methods=["POST"])`."""

    def receive() -> Response:
        if (request.content_length or 0) > receiver.body_bytes_max:
            answer = receiver.refuse_long_body()
        else:
            answer = receiver.handle(request.get_data(), request.headers)
        return Response(answer.body, answer.status, answer.headers)

    return receive
