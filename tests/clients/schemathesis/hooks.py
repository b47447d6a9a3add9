"""What schemathesis must know of this API: it lives at a Unix socket, its streams never end, and it waits if asked to."""

import json
import os
import random
import re
import socket
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import jsonschema_rs
import requests
import schemathesis
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ReadTimeoutError

SOCKET = os.environ["LEASE_SOCKET"]
NDJSON = "application/x-ndjson"

# How long a stream may stay silent before it is left, as a client that has seen enough would.
FIRST_LINE = 0.1
NEXT_LINE = 0.02
MOST_LINES = 8

# A wait that the client would rather not sit through: requests that are answered only at its end get a shorter one.
SHORT = "50ms"
# A heartbeat may not be longer than the ttl, which no schema can say: this one never is.
HEARTBEAT = "1s"


class Connection(HTTPConnection):
    """A connection to the daemon, whatever host was meant."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(SOCKET)
        # Where the daemon will close the connection, the answer keeps the socket and the connection forgets it.
        self.lasting = self.sock


class Pool(HTTPConnectionPool):
    ConnectionCls = Connection


class Socket(HTTPAdapter):
    """Sends requests to the socket, and leaves streams after their first lines."""

    pool = Pool("lease", maxsize=4)

    def get_connection_with_tls_context(self, request, verify, proxies=None, cert=None):
        return self.pool

    def send(self, request, **options):
        response = super().send(impatient(request), **options)
        if response.status_code == 200 and response.headers.get("content-type") == NDJSON:
            response._content = first_lines(response.raw)
            response._content_consumed = True
            # What was not read must not be taken for the next answer; and this is what gives back what is held.
            response.raw.close()
        return response


requests.Session.get_adapter = lambda session, url, adapter=Socket(): adapter


def first_lines(raw):
    """The whole lines that a stream begins with."""
    seen = b""
    limit = FIRST_LINE
    try:
        while seen.count(b"\n") < MOST_LINES:
            raw.connection.lasting.settimeout(limit)
            chunk = raw.read1(65536)
            if not chunk:
                break
            seen += chunk
            limit = NEXT_LINE
    except (ReadTimeoutError, TimeoutError):
        pass
    return seen[: seen.rfind(b"\n") + 1]


def impatient(request):
    """The request, with a short wait where it has none or a long one, and a heartbeat that fits its ttl. What is
    invalid stays so."""
    parts = urlsplit(request.url)
    if request.method == "POST":
        try:
            body = json.loads(request.body or "{}")
        except ValueError:
            return request
        if isinstance(body, dict):
            wishes = {}
            if parts.path.endswith("/acquire") and long(body.get("wait")):
                wishes["wait"] = SHORT
            if fits(BEAT, body.get("heartbeat")):
                wishes["heartbeat"] = HEARTBEAT
            if wishes:
                request.prepare_body(json.dumps({**body, **wishes}), None)
    elif request.method == "GET" and parts.path.endswith("/barrier"):
        query = parse_qsl(parts.query, keep_blank_values=True)
        if "%" not in parts.query.replace("%20", "") and long(dict(query).get("wait")):
            query = [item for item in query if item[0] != "wait"] + [("wait", SHORT)]
            request.url = urlunsplit(parts._replace(query=urlencode(query)))
    return request


def long(wait):
    """Whether a wait is none, or a valid one that is not short."""
    return wait is None or fits(WAIT, wait)


def fits(pattern, text):
    """Whether it is a text that fits the pattern."""
    return isinstance(text, str) and re.fullmatch(pattern, text) is not None


DOCUMENT = requests.get("http://lease/v1/openapi.json").json()
SHAPES = DOCUMENT["components"]["schemas"]
NAME, WAIT, BEAT = (SHAPES[shape]["pattern"] for shape in ["Name", "Wait", "Heartbeat"])


def validator(schema):
    return jsonschema_rs.validator_for({**schema, "components": DOCUMENT["components"]})


@schemathesis.check
def every_line(context, response, case):
    """Each line of a stream is as the document says, which schemathesis does not look at by itself."""
    if response.status_code != 200 or response.headers.get("content-type") != [NDJSON]:
        return
    path = case.operation.schema.raw_schema["paths"][case.operation.path]
    schema = path[case.operation.method]["responses"]["200"]["content"][NDJSON]["schema"]
    for line in response.content.splitlines():
        validator(schema).validate(json.loads(line))


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Half of the valid names are few, so that requests meet each other."""
    name = (path_parameters or {}).get("name")
    if fits(NAME, name) and len(name) % 2:
        path_parameters["name"] = random.Random(name).choice(["a", "b", "c.d", "e/f"])
    return path_parameters
