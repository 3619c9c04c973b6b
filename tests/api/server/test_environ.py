"""What the application is called with."""

from __future__ import annotations

import io
from types import SimpleNamespace
from wsgiref.validate import validator

from api.server.environ import environ_of


def environ(**request):
    asked = {"method": "POST", "path": "/a%20b/%C3%A9", "query": "x=1", "uri": "/a%20b/%C3%A9?x=1", "version": (1, 1)}
    asked |= {"scheme": "http", "body": io.BytesIO(b"[]"), "headers": []} | request
    connection = SimpleNamespace(server=("127.0.0.1", 8080), client=("10.0.0.7", 50000), exchange=None)
    return environ_of(SimpleNamespace(**asked), connection)


def test_it_is_what_wsgi_asks_for():
    def application(_, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b""]

    def started(*_, exc_info=None):
        return exc_info

    plain = environ(headers=[("HOST", "x"), ("CONTENT-TYPE", "text/csv"), ("CONTENT-LENGTH", "2")])
    answer = validator(application)(plain, started)

    list(answer)
    answer.close()
    assert (plain["PATH_INFO"], plain["QUERY_STRING"]) == ("/a b/é".encode().decode("latin-1"), "x=1")
    assert (plain["SERVER_NAME"], plain["SERVER_PORT"], plain["REMOTE_ADDR"]) == ("127.0.0.1", "8080", "10.0.0.7")
    assert (plain["HTTP_HOST"], plain["CONTENT_TYPE"], plain["CONTENT_LENGTH"]) == ("x", "text/csv", "2")


def test_a_header_that_comes_again_is_one_list():
    again = environ(headers=[("ACCEPT", "text/csv"), ("X-CLIENT-ID", "me"), ("ACCEPT", "text/plain;q=0.1")])

    assert again["HTTP_ACCEPT"] == "text/csv,text/plain;q=0.1"
    assert again["HTTP_X_CLIENT_ID"] == "me"
