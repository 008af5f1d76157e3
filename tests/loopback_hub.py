"""A Hugging Face Hub on loopback: what huggingface_hub asks of it to list, fetch and push data sets, kept in memory.

Large files (LFS) are those above `large` bytes. `cut`: bytes after which the next download of a file breaks off.
"""

import base64
import hashlib
import http.server
import json
import re
import threading
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit


class Hub:
    def __init__(self, large=2000):
        self.large, self.files, self.blobs = large, {}, {}  # {name: {path: bytes}}, {sha256: bytes}
        self.tags, self.private, self.commits, self.cut, self.asked, self.sent = {}, {}, 0, None, [], []
        self.token = None
        hub = self

        class Handler(_Handler):
            def __init__(self, *arguments):
                self.hub = hub
                super().__init__(*arguments)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def told(self, path, data):
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        entry = {"type": "file", "path": path, "size": len(data), "oid": blob}
        if len(data) > self.large:
            entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
        return entry


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, plain=None, status=200, headers=(), data=None):
        body = data if data is not None else json.dumps(plain if plain is not None else {}).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_one(self):
        path, body = unquote(urlsplit(self.path).path), self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.asked.append(f"{self.command} {path}")
        if self.hub.token and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            return self.answer({"error": "no"}, 401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "not for you"})
        for pattern, method in ROUTES.items():
            verb, _, place = pattern.partition(" ")
            if verb in (self.command, "GET" if self.command == "HEAD" else "") and (match := re.fullmatch(place, path)):
                return getattr(self, method)(*match.groups(), body)
        return self.answer({"error": f"no route {self.command} {path}"}, 404)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_one

    def known(self, name):
        if name in self.hub.files:
            return True
        self.answer({"error": "none"}, 404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        return False

    def info(self, name, revision, body):
        if self.known(name):
            if revision not in ("main", "c0", *self.hub.tags.get(name, [])):
                return self.answer({}, 404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev"})
            self.answer({"id": name, "sha": "c0", "siblings": [{"rfilename": path} for path in self.hub.files[name]]})

    def newest(self, name, body):
        self.info(name, "main", body)

    def tree(self, name, revision, body):
        if self.known(name):
            self.answer([self.hub.told(path, data) for path, data in self.hub.files[name].items()])

    def resolve(self, name, revision, path, body):
        if not self.known(name):
            return
        data = self.hub.files[name][path]
        told = self.hub.told(path, data)
        etag = told.get("lfs", told)["oid"]
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": "c0", "Accept-Ranges": "bytes"}
        if self.command == "HEAD":
            return self.answer(headers={**headers, "Content-Length": str(len(data))}, data=b"")
        served = self.hub.blobs.get(f"served {path}", data)  # a mirror that gives something else
        start = int(re.match(r"bytes=(\d+)-", self.headers.get("Range") or "bytes=0-")[1])
        self.hub.sent.append((path, start))
        status = 206 if self.headers.get("Range") else 200
        self.send_response(status)
        ranged = {"Content-Range": f"bytes {start}-{len(served) - 1}/{len(served)}"} if status == 206 else {}
        for key, value in {**headers, **ranged, "Content-Length": str(len(served) - start)}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.hub.cut and len(served) > self.hub.cut:
            self.wfile.write(served[start : self.hub.cut])
            self.wfile.flush()
            self.close_connection = True
            return self.connection.close()
        self.wfile.write(served[start:])

    def create(self, body):
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
        url = f"{self.hub.url}/datasets/{name}"
        if name in self.hub.files:
            return self.answer({"error": "there", "url": url}, 409)
        self.hub.files[name], self.hub.private[name] = (
            {".gitattributes": b"* lfs\n"},
            asked.get("private") or asked.get("visibility") == "private",
        )
        self.answer({"url": url, "id": name})

    def preupload(self, name, revision, body):
        files = json.loads(body)["files"]
        modes = ["lfs" if one["size"] > self.hub.large else "regular" for one in files]
        told = [
            {"path": one["path"], "uploadMode": mode, "shouldIgnore": False, "oid": None}
            for one, mode in zip(files, modes, strict=True)
        ]
        self.answer({"files": told})

    def batch(self, name, body):
        objects = json.loads(body)["objects"]
        for one in objects:
            if one["oid"] not in self.hub.blobs:
                one["actions"] = {"upload": {"href": f"{self.hub.url}/lfs/{one['oid']}", "header": {}}}
        self.answer({"transfer": "basic", "objects": objects})

    def put(self, oid, body):
        assert hashlib.sha256(body).hexdigest() == oid
        self.hub.blobs[oid] = body
        self.hub.sent.append((f"put {oid}", 0))
        self.answer()

    def commit(self, name, revision, body):
        for line in body.splitlines():
            change = json.loads(line)
            value = change["value"]
            if change["key"] == "file":
                self.hub.files[name][value["path"]] = base64.b64decode(value["content"])
            elif change["key"] == "lfsFile":
                self.hub.files[name][value["path"]] = self.hub.blobs[value["oid"]]
            elif change["key"] == "deletedFile":
                del self.hub.files[name][value["path"]]
        self.hub.commits += 1
        self.answer({"success": True, "commitOid": "c0", "commitUrl": f"{self.hub.url}/datasets/{name}/commit/c0"})

    def tag(self, name, revision, body):
        self.hub.tags.setdefault(name, []).append(json.loads(body)["tag"])
        self.answer()

    def untag(self, name, tag, body):
        if tag not in self.hub.tags.get(name, []):
            return self.answer({}, 404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "no tag"})
        self.hub.tags[name].remove(tag)
        self.answer()


NAME = r"([^/]+/[^/]+)"
ROUTES = {
    f"GET /api/datasets/{NAME}/revision/([^/]+)": "info",
    f"GET /api/datasets/{NAME}": "newest",
    f"GET /api/datasets/{NAME}/tree/([^/]+)": "tree",
    f"GET /datasets/{NAME}/resolve/([^/]+)/(.+)": "resolve",
    "POST /api/repos/create": "create",
    f"POST /api/datasets/{NAME}/preupload/([^/]+)": "preupload",
    rf"POST /datasets/{NAME}\.git/info/lfs/objects/batch": "batch",
    "PUT /lfs/([0-9a-f]+)": "put",
    f"POST /api/datasets/{NAME}/commit/([^/]+)": "commit",
    f"POST /api/datasets/{NAME}/tag/([^/]+)": "tag",
    f"DELETE /api/datasets/{NAME}/tag/([^/]+)": "untag",
}


@contextmanager
def running(monkeypatch):
    """A hub that huggingface_hub finds where HF_ENDPOINT says, with nobody's token and short waits."""
    from huggingface_hub import constants

    hub = Hub()
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    try:
        yield hub
    finally:
        hub.close()
