"""Remembers what the services answered in all tests, to be held against their documents at the
end. Of equal answers (operation, status, media type, members) one is enough."""

from collections import namedtuple

Answer = namedtuple("Answer", "service method path status media_type content")
_seen = {}


def record(service, response):
    """An httpx event hook, with the service's name bound."""
    response.read()
    request = response.request
    media_type = response.headers.get("content-type", "").split(";")[0]
    shape = ()
    if media_type.endswith("json"):
        value = response.json()
        shape = tuple(sorted(value)) if isinstance(value, dict) else (len(value) > 0,)
    path = request.url.path
    # The longest words of a path are ids.
    key = (service, request.method, tuple(word for word in path.split("/") if len(word) < 30),
           response.status_code, media_type, shape)
    if key not in _seen:
        _seen[key] = Answer(service, request.method, path, response.status_code, media_type,
                            response.content)


def answers():
    return list(_seen.values())
