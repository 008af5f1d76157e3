"""A bucket on loopback that answers Google's JSON API for one bucket, with faults on request."""

import base64
import hashlib
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from pirig.weights.crc32c import Crc32c

PAGE = 2  # objects per listing page


class BucketServer:
    """`faults[name]` is a list of what the next requests for that object get: "cut", "503", "corrupt", "no range"."""

    def __init__(self, objects, *, bucket="assets", md5=True):
        self.objects, self.bucket, self.md5 = objects, bucket, md5
        self.faults, self.requests, self.ranges = {}, Counter(), []
        self.always_corrupt = set()
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()

    def listing(self, query):
        prefix, page = query["prefix"][0], int(query.get("pageToken", ["0"])[0])
        names = sorted(name for name in self.objects if name.startswith(prefix))
        answer = {"items": [self._item(name) for name in names[page : page + PAGE]]}
        return answer | ({"nextPageToken": str(page + PAGE)} if page + PAGE < len(names) else {})

    def _item(self, name):
        content = self.objects[name]
        crc = Crc32c()
        crc.update(content)
        sums = {"crc32c": base64.b64encode(crc.digest()).decode()}
        if self.md5:
            sums["md5Hash"] = base64.b64encode(hashlib.md5(content).digest()).decode()
        return {"name": name, "size": str(len(content)), **sums}

    def fault(self, name):
        with self.lock:
            self.requests[name] += 1
            return self.faults[name].pop(0) if self.faults.get(name) else ""


def _handler(bucket):
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def do_GET(self):
            split = urlsplit(self.path)
            root = f"/storage/v1/b/{bucket.bucket}/o"
            if split.path == root:
                fault = bucket.fault("listing")
                content = json.dumps(bucket.listing(parse_qs(split.query))).encode()
                return self.reply(503 if fault else 200, b"" if fault else content)
            name = unquote(split.path.removeprefix(root + "/"))
            if name not in bucket.objects:
                return self.reply(404, b"")
            return self.media(name, bucket.fault(name))

        def media(self, name, fault):
            content, start = bucket.objects[name], 0
            if fault == "503":
                return self.reply(503, b"")
            if fault == "corrupt" or name in bucket.always_corrupt:
                content = bytes([content[0] ^ 1]) + content[1:]
            if "Range" in self.headers and fault != "no range":
                start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
                bucket.ranges.append((name, start))
            return self.reply(206 if start else 200, content[start:], half=fault == "cut")

        def reply(self, status, content, half=False):
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if half else content)
            if half:
                self.wfile.flush()
                self.connection.close()

    return Handler
