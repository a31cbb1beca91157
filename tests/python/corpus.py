"""Plays the picture corpus against a running server: every file, four crop modes, with and without grayscale.

usage: corpus.py BASE_URL CORPUS_DIR [--subset photos,png,...] [--jobs N] [--pid SERVER_PID] [--quick] [--verbose]

The server's images are CORPUS_DIR; it runs with jpeg-quality 100, no throttling and the default limits. What is held
against it: a file that `decodes` answers 200, in its format, in the exact size, and with the right picture (see
reference.py; mean error <= 1.5 of 255, and <= 1 everywhere where a PNG is neither scaled nor colour-managed); a file
that `must be refused` answers 4xx with one line of text; `either` is one or the other. No 5xx, no dropped connection,
no request over 5 s, and with --pid no growth of the resident set above 300 MB. Exit 1 if anything fails.
"""
import argparse
import csv
import http.client
import io
import sys
import threading
import time
import urllib.parse
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

import reference

MEAN_LIMIT = 1.5
SECONDS_LIMIT = 5.0
GROWTH_LIMIT_MB = 300
IDENTITY_PIXELS = 4_000_000
HEAVY_PIXELS = 6_000_000
SIDE_LIMIT = 8192
SUBSETS = ["photos", "png", "orientation", "legal", "broken"]
BOXES = [("e", 97, 61, "nw"), ("a", 97, 61, "nw"), ("p", 97, 61, "nw"), ("k", 50, 40, "c")]


class Server:
    """Keep-alive connections, one a thread, and the memory of the process behind them."""

    def __init__(self, base, pid):
        url = urllib.parse.urlsplit(base)
        self.host, self.port, self.prefix, self.pid = url.hostname, url.port or 80, url.path.rstrip("/"), pid
        self.local = threading.local()
        self.idle_kb = self.memory("VmRSS")
        if pid:
            try:
                Path(f"/proc/{pid}/clear_refs").write_text("5")
            except OSError:
                print("note: VmHWM could not be reset; it may include the start of the server")

    def memory(self, field):
        if not self.pid:
            return 0
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        return 0

    def get(self, path):
        """(status, headers, body, seconds); status 0 and the reason where the connection was lost."""
        started = time.monotonic()
        for fresh in (False, True):
            connection = getattr(self.local, "connection", None)
            reused = connection is not None
            if not reused:
                connection = self.local.connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
            try:
                connection.request("GET", self.prefix + path)
                answer = connection.getresponse()
                body = answer.read()
                if answer.will_close:
                    self.drop()
                return answer.status, answer.headers, body, time.monotonic() - started
            except (OSError, http.client.HTTPException) as error:
                self.drop()
                # A server may close an idle connection; only a fresh one that drops is a failure.
                idle = reused and isinstance(error, (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError))
                if fresh or not idle:
                    return 0, {}, f"{type(error).__name__}: {error}".encode(), time.monotonic() - started
        raise AssertionError("unreachable")

    def drop(self):
        connection = getattr(self.local, "connection", None)
        if connection:
            connection.close()
        self.local.connection = None


class Report:
    """What was seen, shared by all threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.failures, self.notes, self.counts = [], [], Counter()
        self.slowest, self.worst = (0.0, ""), {}
        self.errors = {}

    def fail(self, path, why):
        with self.lock:
            self.failures.append(f"{path} -> {why}")

    def note(self, path, what):
        with self.lock:
            self.notes.append(f"{path}: {what}")

    def seen(self, path, status, seconds):
        with self.lock:
            self.counts["requests"] += 1
            self.counts[f"{status // 100}xx" if status else "dropped"] += 1
            self.slowest = max(self.slowest, (seconds, path))

    def measured(self, kind, error, path):
        with self.lock:
            self.errors.setdefault(kind, []).append(error)
            self.worst[kind] = max(self.worst.get(kind, (0.0, "")), (error, path))


def requests_of(sizes, quick):
    """(parameters, mode, w, h, gravity, grayscale) for one file; `sizes` is empty where nobody knows them."""
    identity = []
    for width, height in sorted(sizes)[:1]:
        if width * height <= IDENTITY_PIXELS and max(width, height) <= SIDE_LIMIT:
            identity.append(("k", width, height, "nw", False))
    boxes = [(mode, w, h, g, gray) for mode, w, h, g in BOXES for gray in (False, True)]
    if quick:
        boxes = [("e", 97, 61, "nw", False), ("p", 97, 61, "nw", True)] + ([] if identity else [("k", 50, 40, "c", False)])
    for mode, w, h, gravity, gray in boxes + identity:
        parts = [f"w_{w}", f"h_{h}", f"c_{mode}"] + ([f"g_{gravity}"] if gravity != "nw" else [])
        yield ",".join(parts + (["f_grayscale"] if gray else [])), mode, w, h, gravity, gray


class File:
    """One row of the index, and the reference for it."""

    def __init__(self, row, root):
        self.name = row["file"]
        self.row = row
        expected = row["expected"]
        self.must_refuse = expected.startswith("must be refused")
        self.must_decode = expected.startswith("decodes") and "refused" not in expected
        self.pixels = int(row["width"] or 0) * int(row["height"] or 0)
        data = (root / self.name).read_bytes()
        self.picture, self.unread = None, ""
        if not self.must_refuse and self.pixels <= 120_000_000:
            try:
                self.picture = reference.read(data)
            except Exception as error:  # the reference may fail in many ways on damaged files
                self.unread = str(error)
        self.cache = {}
        # libjpeg-turbo smooths between blocks where only DC has come, which no standard asks for: then it is no judge.
        details = row["type_details"]
        self.smoothed = "progressive" in details and "scans 1" in details.replace(";", " ").split("  ")

    def wanted(self, orientation, mode, w, h, gravity, gray):
        """(sizes, pixels) of the answer, for one reading of the orientation."""
        source = self.picture.turned[orientation]
        sizes, region = reference.framed(mode, source.shape[1], source.shape[0], w, h, gravity)
        return sizes, lambda size: self.pixels_of(orientation, mode, region, size, gray)

    def pixels_of(self, orientation, mode, region, size, gray):
        key = (orientation, mode, region, size)
        if key not in self.cache:
            source = self.picture.turned[orientation]
            left, top, right, bottom = region
            self.cache[key] = (source[top:bottom, left:right].astype(np.float64) if mode == "k"
                               else reference.resampled(source, region, size))
        return reference.luma(self.cache[key]) if gray else self.cache[key]


def check_refusal(report, path, status, headers, body):
    text = body.decode("utf-8", "replace").strip()
    if not 400 <= status < 500:
        report.fail(path, f"status {status}, want 4xx")
    elif not text or "\n" in text or len(text) > 500:
        report.fail(path, f"{status} without a one-line reason: {body[:80]!r}")
    elif not (headers.get("Content-Type") or "").startswith("text/plain"):
        report.fail(path, f"{status} with Content-Type {headers.get('Content-Type')}, want text/plain")


def check_picture(report, file, path, asked, headers, body):
    """A 200 answer: its format, its size, and its pixels where the reference can tell."""
    try:
        image = Image.open(io.BytesIO(body), formats=["JPEG", "PNG"])
        image.load()
    except Exception as error:
        return report.fail(path, f"the answer does not decode: {error}")
    kind = image.format.lower()
    if headers.get("Content-Type") != f"image/{kind}":
        report.fail(path, f"{kind} with Content-Type {headers.get('Content-Type')}")
    if kind != file.row["format_by_bytes"]:
        return report.fail(path, f"format {kind}, want {file.row['format_by_bytes']}")
    if asked[-1] and kind == "jpeg" and image.mode != "L":
        report.fail(path, f"a grayscale JPEG answer has mode {image.mode}, want one component")
    if file.picture is None:
        if file.must_decode:
            report.note(path, f"pixels not compared: {file.unread}")
        return None
    return compare(report, file, path, asked, image)


def compare(report, file, path, asked, image):
    rgba = np.asarray(image.convert("RGBA"), np.float64)
    best, sizes = None, set()
    for orientation in file.picture.turned:
        wanted, pixels = file.wanted(orientation, *asked)
        sizes |= wanted
        if image.size not in wanted:
            continue
        want = pixels(image.size)
        seen, flat = reference.on_white(rgba), reference.on_white(want)
        if image.format == "JPEG":
            flat = reference.through_jpeg(flat, image)
        # Where little of the picture is opaque, alpha carries it: both count.
        apart = np.maximum(np.abs(seen - flat), np.abs(rgba[..., 3:] - want[..., 3:]))
        error = float(apart.mean()), float(apart.max())
        best = min(best, error) if best else error
    if best is None:
        return report.fail(path, f"size {image.size}, want {' or '.join(map(str, sorted(sizes)))}")
    mode = asked[0]
    kind = f"{image.format} {'unscaled' if mode == 'k' else 'scaled'}{' gray' if asked[-1] else ''}"
    exact = image.format == "PNG" and mode == "k" and not file.picture.managed
    if not file.must_decode or file.smoothed:
        if best[0] > MEAN_LIMIT:
            why = "the reference smooths" if file.smoothed else "`either`"
            report.note(path, f"{why}: served with mean error {best[0]:.1f}")
        return None
    report.measured(kind, best[0], path)
    if best[0] > MEAN_LIMIT:
        return report.fail(path, f"wrong picture: mean error {best[0]:.2f}, largest {best[1]:.0f}")
    # The reference of a gray pixel is not rounded.
    if exact and best[1] > (1.5 if asked[-1] else 1):
        return report.fail(path, f"wrong picture: not scaled, yet pixels differ by up to {best[1]:.0f}")
    return None


def play(server, report, row, root, quick):
    file = File(row, root)
    sizes = file.picture.sizes() if file.picture else {(int(row["width"]), int(row["height"]))} if file.pixels else set()
    if file.must_refuse:
        sizes = set()
    statuses = set()
    for parameters, *asked in requests_of(sizes, quick):
        path = f"/image/{parameters}/{urllib.parse.quote(file.name)}"
        status, headers, body, seconds = server.get(path)
        report.seen(path, status, seconds)
        statuses.add(status)
        if seconds > SECONDS_LIMIT:
            report.fail(path, f"took {seconds:.1f} s")
        if status == 200 and not file.must_refuse:
            check_picture(report, file, path, asked, headers, body)
        elif status == 0:
            report.fail(path, f"connection lost: {body.decode(errors='replace')}")
        elif file.must_decode:
            report.fail(path, f"status {status}, want 200: {body[:100]!r}")
        else:
            check_refusal(report, path, status, headers, body)
    if not file.must_decode and len(statuses) > 1:
        report.note(file.name, f"answers differ between crop modes: {sorted(statuses)}")
    with report.lock:
        report.counts["files"] += 1


def sample(rows):
    """All of legal/ and orientation/, and evenly some of the rest, none of them heavy."""
    whole = [r for r in rows if r["file"].split("/")[0] in ("legal", "orientation")]
    rest = [r for r in rows if r["file"].split("/")[0] in ("png", "broken")]
    small = lambda r: int(r["width"] or 0) * int(r["height"] or 0) <= 3_000_000 or r["expected"].startswith("must")
    photos = [r for r in rows if r["file"].startswith("photos/") and small(r)]
    return photos + whole + [r for r in rest if small(r)][::24]


def summary(report, server, seconds):
    growth = (server.memory("VmHWM") - server.idle_kb) / 1024
    for line in sorted(report.notes):
        print("note:", line)
    for line in sorted(report.failures):
        print("FAIL:", line)
    print(f"\n{'answers':<24}{'count':>7}{'mean':>8}{'95 %':>8}{'worst':>8}   worst at   (mean error of 255)")
    for kind, errors in sorted(report.errors.items()):
        worst = report.worst[kind]
        print(f"{kind:<24}{len(errors):>7}{np.mean(errors):>8.3f}{np.percentile(errors, 95):>8.3f}{worst[0]:>8.3f}   {worst[1]}")
    counts = report.counts
    print(f"\nfiles {counts['files']}, requests {counts['requests']}: " +
          ", ".join(f"{counts[k]} {k}" for k in ("2xx", "4xx", "5xx", "dropped")) + f", in {seconds:.0f} s")
    print(f"slowest {report.slowest[0]:.2f} s: {report.slowest[1]}")
    if server.pid:
        print(f"resident set: {server.idle_kb / 1024:.0f} MB idle, peak + {growth:.0f} MB")
        if growth > GROWTH_LIMIT_MB:
            report.failures.append("growth")
            print(f"FAIL: the resident set grew by {growth:.0f} MB, allowed: {GROWTH_LIMIT_MB}")
    print(f"{len(report.failures)} failures")
    return bool(report.failures)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--subset", default=",".join(SUBSETS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--pid", type=int)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    folders = options.subset.split(",")
    with open(options.corpus / "INDEX.csv", newline="") as index:
        rows = [r for r in csv.DictReader(index) if r["file"].split("/")[0] in folders]
    rows = sample(rows) if options.quick else rows
    server, report = Server(options.base, options.pid), Report()
    status, _, body, _ = server.get("/health")
    if status != 200:
        sys.exit(f"/health answers {status}: {body[:80]!r}")
    weight = lambda r: int(r["width"] or 0) * int(r["height"] or 0) if not r["expected"].startswith("must") else 0
    light = [r for r in rows if weight(r) <= HEAVY_PIXELS]
    heavy = [r for r in rows if weight(r) > HEAVY_PIXELS]
    started = time.monotonic()

    def guarded(row):
        try:
            play(server, report, row, options.corpus, options.quick)
        except Exception as error:  # one file's trouble must not hide the others'
            report.fail(row["file"], f"the check itself failed: {type(error).__name__}: {error}")

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(guarded, light))
    for row in heavy:  # one at a time, so that the peak is one picture's
        guarded(row)
    sys.exit(summary(report, server, time.monotonic() - started))


if __name__ == "__main__":
    import warnings
    warnings.simplefilter("ignore")
    main()
