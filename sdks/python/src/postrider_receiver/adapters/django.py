"""For Django."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from postrider_receiver.receiver import Receiver


def view(receiver: Receiver) -> Callable[..., HttpResponse]:
    """A view for POST: `path("webhooks", view(receiver))`. Deliveries carry a signature and no
    cookie, so it needs no CSRF token."""

    @csrf_exempt
    @require_POST
    def receive(request: HttpRequest) -> HttpResponse:
        answer = receiver.handle(request.body, request.headers)
        return HttpResponse(answer.body, status=answer.status, headers=answer.headers)

    return receive
