"""Small servers that answer like the documented APIs of HubSpot and Salesforce, on loopback."""

import json
import re
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlparse


class FakeApi:
    """What an API has, and what it was asked; the first request is refused once with 429."""

    def __init__(self):
        self.tables = {}
        self.asked = []
        self.refused = 0
        self.locators = {}

    def answer(self, path, params, headers, body):
        """Return the status, the headers and the answer of a request."""
        self.asked.append((path, params))
        if path.endswith("/oauth2/token"):
            return self.give_token(parse_qs(body))
        if headers.get("Authorization") != "Bearer secret-token":
            return 401, {}, {"message": "unauthorized"}
        if not self.refused:
            self.refused = 1
            return 429, {"Retry-After": "1"}, {"message": "too many requests"}
        if path.startswith("/crm/v3/objects/"):
            return self.list_objects(path.rsplit("/", 1)[1], params)
        if path.startswith("/services/data/v62.0/"):
            return self.query(path, params)
        return 404, {}, {"message": "unknown path"}

    def give_token(self, form):
        good = form.get("grant_type") == ["client_credentials"] and form.get("client_secret")
        if good != ["secret-of-the-app"]:
            return 400, {}, {"error": "invalid_client"}
        return 200, {}, {"access_token": "secret-token", "token_type": "Bearer"}

    def list_objects(self, kind, params):
        """Answer as HubSpot lists objects: at most 50 in a page where history is asked for."""
        limit = int(params["limit"])
        if limit > (50 if "propertiesWithHistory" in params else 100):
            return 400, {}, {"message": "limit too high"}
        archived = params.get("archived") == "true"
        rows = [row for row in self.tables[kind] if row["archived"] == archived]
        start = int(params.get("after", 0))
        answer = {"results": [pick(row, params) for row in rows[start : start + limit]]}
        if start + limit < len(rows):
            answer["paging"] = {"next": {"after": str(start + limit), "link": "?after="}}
        return 200, {}, answer

    def query(self, path, params):
        """Answer as Salesforce's `queryAll` does, in batches of 20 with a locator."""
        if "/query/" in path:
            assert not params, "a locator has no parameters"
            rows, start = self.locators[path]
        else:
            rows, start = self.select(path, params["q"]), 0
        answer = {"totalSize": len(rows), "done": start + 20 >= len(rows)}
        answer["records"] = rows[start : start + 20]
        if not answer["done"]:
            locator = f"/services/data/v62.0/query/01gRO{len(self.locators):07d}-{start + 20}"
            self.locators[locator] = (rows, start + 20)
            answer["nextRecordsUrl"] = locator
        return 200, {}, answer

    def select(self, path, soql):
        """Return the rows of a query of the form that the script writes."""
        form = r"SELECT (.+) FROM (\w+) WHERE (\w+) >= (\S{19}Z)(?: AND Field IN \((.+)\))?"
        names, table, cursor, since, only = re.fullmatch(form, soql).groups()
        return [
            {"attributes": {"type": table}, **{name: row[name] for name in names.split(", ")}}
            for row in self.tables[table]
            if row[cursor][:19] + "Z" >= since
            and (only is None or f"'{row['Field']}'" in only)
            and (path.endswith("/queryAll") or not row.get("IsDeleted"))
        ]


def pick(row, params):
    """Return an object with the properties, histories and associations that were asked for."""
    answer = {name: value for name, value in row.items() if name in BASIC}
    names = params.get("properties", "").split(",")
    answer["properties"] = {name: row["properties"].get(name) for name in names if name}
    if "propertiesWithHistory" in params:
        asked = params["propertiesWithHistory"].split(",")
        history = row["propertiesWithHistory"]
        answer["propertiesWithHistory"] = {k: v for k, v in history.items() if k in asked}
    if "associations" in params and row.get("associations"):
        answer["associations"] = row["associations"]
    return answer


BASIC = ("id", "createdAt", "updatedAt", "archived", "archivedAt")


@contextmanager
def serve(api):
    """Serve an API on loopback; give its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            url = urlparse(self.path)
            params = {name: values[-1] for name, values in parse_qs(url.query).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            status, headers, answer = api.answer(url.path, params, self.headers, body)
            text = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
