"""What a picture must look like: an independent reading of JPEG and PNG sources, and of the server's geometry.

JPEG pixels come from Pillow (libjpeg-turbo), PNG pixels from the small reader below (Pillow cuts 16-bit colour and
compares tRNS of 2- and 4-bit gray wrongly). Profiles are converted to sRGB by LittleCMS 2 through Pillow's ImageCms,
perceptual intent, black point compensation off. CMYK without a profile is Pillow's plain R = (1-C)(1-K).
"""
import io
import math
import struct
import zlib
from fractions import Fraction

import numpy as np
from PIL import Image, ImageCms, JpegImagePlugin

Image.MAX_IMAGE_PIXELS = None
SRGB = ImageCms.createProfile("sRGB")
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
LAYERS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


class Unreadable(Exception):
    """The reference itself cannot read the picture."""


class Picture:
    """A source as displayed: `turned` maps each acceptable EXIF orientation to 8-bit sRGB RGBA (rows, columns, 4)."""

    def __init__(self, kind, rgba, orientations, managed):
        self.kind, self.managed = kind, managed
        self.turned = {o: turn(rgba, o) for o in orientations}

    def sizes(self):
        return {(p.shape[1], p.shape[0]) for p in self.turned.values()}


# --- EXIF ---------------------------------------------------------------------------------------------------------

def turn(pixels, orientation):
    """The picture as displayed, for an EXIF orientation 1 to 8."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def orientations(tiff):
    """Acceptable readings of the orientation: one for a well-formed entry, two where the entry is odd."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    try:
        at, = struct.unpack_from(order + "I", tiff, 4)
        count, = struct.unpack_from(order + "H", tiff, at)
        for i in range(count):
            tag, kind, n = struct.unpack_from(order + "HHI", tiff, at + 2 + 12 * i)
            if tag != 0x0112:
                continue
            value, = struct.unpack_from(order + "H", tiff, at + 10 + 12 * i)
            wide, = struct.unpack_from(order + "I", tiff, at + 10 + 12 * i)
            seen = {v for v in (value, wide) if 1 <= v <= 8}
            return seen or {1} if (kind, n) == (3, 1) and value == min(seen, default=value) else seen | {1}
    except (struct.error, TypeError):
        return {1}
    return {1}


# --- PNG ----------------------------------------------------------------------------------------------------------

def unfilter(raw, rows, columns, step):
    """Undoes the five PNG filters; `columns` groups of `step` bytes a row. Walks diagonals, so that numpy can help."""
    stride = columns * step
    lines = np.frombuffer(raw, np.uint8, rows * (stride + 1)).reshape(rows, stride + 1)
    kinds = lines[:, 0].astype(np.int16)
    if not kinds.any():
        return lines[:, 1:]
    pad = columns + 1
    given = np.zeros((rows + 1, pad, step), np.int16)
    given[1:, 1:] = lines[:, 1:].reshape(rows, columns, step)
    given = given.reshape(-1, step)
    done = np.zeros_like(given)
    for t in range(columns + rows - 1):
        first, last = max(0, t - columns + 1), min(rows - 1, t)
        here = (first + 1) * pad + (t - first + 1)
        span = columns * (last - first) + 1
        cut = lambda back: slice(here - back, here - back + span, columns)
        a, b, c = done[cut(1)], done[cut(pad)], done[cut(pad + 1)]
        kind = kinds[first:last + 1, None]
        p = b - c
        q = a - c
        pa, pb, pc = np.abs(p), np.abs(q), np.abs(p + q)
        paeth = np.where((pa <= pb) & (pa <= pc), a, np.where(pb <= pc, b, c))
        guess = np.where(kind == 4, paeth, np.where(kind == 3, (a + b) >> 1, np.where(kind == 2, b, a * (kind == 1))))
        done[cut(0)] = (given[cut(0)] + guess) & 255
    return done.reshape(rows + 1, pad, step)[1:, 1:].reshape(rows, stride).astype(np.uint8)


def samples(raw, at, width, height, depth, layers):
    """One (sub-)image as unscaled samples, and where the next begins."""
    bits = width * depth * layers
    stride = (bits + 7) // 8
    step = max(1, depth * layers // 8)
    end = at + height * (stride + 1)
    if len(raw) < end:
        raise Unreadable("too little image data")
    data = unfilter(raw[at:end], height, stride // step, step)
    if depth == 16:
        values = data.reshape(height, -1, 2).astype(np.uint16)
        values = values[..., 0] << 8 | values[..., 1]
    elif depth == 8:
        values = data
    else:
        shifts = np.arange(8 - depth, -1, -depth, dtype=np.uint8)
        values = (data[:, :, None] >> shifts & (1 << depth) - 1).reshape(height, -1)
    return values[:, :width * layers].reshape(height, width, layers), end


def png_chunks(data):
    at = 8
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        yield name, data[at + 8:at + 8 + length]
        at += 12 + length


def read_png(data):
    chunks, idat = {}, []
    for name, body in png_chunks(data):
        if name == b"IDAT":
            idat.append(body)
        elif name == b"IEND":
            break
        else:
            chunks.setdefault(name, body)
    try:
        width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
        layers = LAYERS[colour]
        raw = zlib.decompressobj().decompress(b"".join(idat))
    except (KeyError, struct.error, zlib.error) as error:
        raise Unreadable(str(error)) from error
    if interlace:
        values = np.zeros((height, width, layers), np.uint16 if depth == 16 else np.uint8)
        at = 0
        for x, y, dx, dy in (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2):
            w, h = -(-(width - x) // dx), -(-(height - y) // dy)
            if w > 0 and h > 0:
                values[y::dy, x::dx], at = samples(raw, at, w, h, depth, layers)
    else:
        values, _ = samples(raw, 0, width, height, depth, layers)
    rgba = expand(values, depth, colour, chunks.get(b"PLTE"), chunks.get(b"tRNS"))
    profile = None
    if b"iCCP" in chunks:
        try:
            profile = zlib.decompressobj().decompress(chunks[b"iCCP"].split(b"\0", 1)[1][1:], 1 << 22)
        except (zlib.error, IndexError):
            profile = None
    return rgba, profile, "L" if colour in (0, 4) else "RGB", orientations(chunks.get(b"eXIf", b""))


def expand(values, depth, colour, palette, clear):
    """Samples to 8-bit RGBA. 16 bit become value*255/65535, rounded to nearest."""
    top = (1 << depth) - 1
    rgba = np.full(values.shape[:2] + (4,), 255, np.uint8)
    if colour == 3:
        table = np.zeros((256, 4), np.uint8)
        table[:, 3] = 255
        entries = np.frombuffer(palette, np.uint8)[:len(palette) // 3 * 3].reshape(-1, 3)[:256]
        table[:len(entries), :3] = entries
        alpha = np.frombuffer(clear or b"", np.uint8)[:256]
        table[:len(alpha), 3] = alpha
        return table[values[..., 0]]
    small = values if depth == 8 else ((values.astype(np.uint32) * 255 + top // 2) // top).astype(np.uint8)
    rgba[..., :3] = small[..., :1] if colour in (0, 4) else small[..., :3]
    if colour in (4, 6):
        rgba[..., 3] = small[..., -1]
    elif clear and len(clear) >= 2 * values.shape[2]:
        key = np.array(struct.unpack_from(f">{values.shape[2]}H", clear)) & top
        rgba[..., 3] = np.where((values == key).all(axis=2), 0, 255)
    return rgba


# --- colour -------------------------------------------------------------------------------------------------------

def managed(image, profile):
    """`image` (L, RGB or CMYK) as sRGB by its profile, or None where the profile is unusable for it."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if {"GRAY": "L"}.get(space, space) != image.mode:
            return None
        move = ImageCms.buildTransform(source, SRGB, image.mode, "RGB", ImageCms.Intent.PERCEPTUAL, 0)
        return ImageCms.applyTransform(image, move)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def opaque(rgb):
    rgb = np.asarray(rgb)
    return np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])


def jpeg_exif(data):
    """The TIFF block of the first Exif segment; the marker walk stops at the first scan."""
    found, at = [], 2
    while at + 4 <= len(data) and data[at] == 255:
        marker, length = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        if marker == 255:
            at += 1
            continue
        if marker == 0xDA:
            break
        if marker == 0xE1 and data[at + 4:at + 10] == b"Exif\0\0":
            found.append(data[at + 10:at + 2 + length])
        at += 2 + length
    return found


def read_jpeg(data):
    image = Image.open(io.BytesIO(data), formats=["JPEG"])
    image.load()
    profile = image.info.get("icc_profile")
    moved = managed(image, profile) if profile else None
    rgba = opaque(moved or image.convert("RGB"))
    exif = jpeg_exif(data)
    turns = set().union(*map(orientations, exif)) if exif else {1}
    return rgba, turns, moved is not None


def read(data):
    """Reads a JPEG or PNG source as it must be displayed."""
    if data.startswith(PNG_SIGNATURE):
        rgba, profile, mode, turns = read_png(data)
        moved = None
        if profile:
            plain = Image.fromarray(rgba[..., 0] if mode == "L" else np.ascontiguousarray(rgba[..., :3]))
            moved = managed(plain, profile)
            if moved is not None:
                rgba = np.dstack([np.asarray(moved), rgba[..., 3]])
        return Picture("png", rgba, turns, moved is not None)
    try:
        rgba, turns, moved = read_jpeg(data)
    except Exception as error:  # Pillow raises many kinds
        raise Unreadable(str(error)) from error
    return Picture("jpeg", rgba, turns, moved)


# --- geometry -----------------------------------------------------------------------------------------------------

def derived(exact):
    """floor(0.7 + exact), at least 1: by rational and by binary arithmetic, which may part where the sum is whole."""
    return {max(1, math.floor(Fraction(7, 10) + exact)), max(1, math.floor(0.7 + float(exact)))}


def framed(mode, width, height, w, h, gravity="nw"):
    """The acceptable output sizes and the region of the source that is shown, as (sizes, (left, top, right, bottom))."""
    whole = (0, 0, width, height)
    if mode == "k":
        w, h = min(w or width, width), min(h or height, height)
        left, top = placed(width, w, gravity, "w", "e"), placed(height, h, gravity, "n", "s")
        return {(w, h)}, (left, top, left + w, top + h)
    if not w or not h:
        mode = "e" if mode == "p" else mode
        wide = {w} if w else derived(Fraction(h * width, height))
        high = {h} if h else derived(Fraction(w * height, width))
        return {(a, b) for a in wide for b in high}, whole
    if mode == "e":
        return {(w, h)}, whole
    if mode == "a":
        if Fraction(w * height, width) > h:
            return {(a, h) for a in derived(Fraction(h * width, height))}, whole
        return {(w, b) for b in derived(Fraction(w * height, width))}, whole
    if Fraction(width, w) < Fraction(height, h):
        inner = width, max(1, width * h // w)
    else:
        inner = max(1, height * w // h), height
    left, top = placed(width, inner[0], gravity, "w", "e"), placed(height, inner[1], gravity, "n", "s")
    return {(w, h)}, (left, top, left + inner[0], top + inner[1])


def placed(outer, inner, gravity, near, far):
    return 0 if near in gravity else outer - inner if far in gravity else (outer - inner) // 2


# --- pixels -------------------------------------------------------------------------------------------------------

_CODES = np.arange(256) / 255.0
LINEAR = np.where(_CODES <= 0.04045, _CODES / 12.92, ((_CODES + 0.055) / 1.055) ** 2.4).astype(np.float32)


def coded(light):
    light = np.clip(light, 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def resampled(rgba, region, size):
    """Lanczos-3 in premultiplied linear light; RGBA of float 0..255, colour not premultiplied."""
    left, top, right, bottom = region
    part = rgba[top:bottom, left:right]
    # Far above the target, an exact box average first: Lanczos sees eight samples and more a pixel.
    by_x = max(1, part.shape[1] // (8 * size[0])) if part.shape[1] > 32 * size[0] else 1
    by_y = max(1, part.shape[0] // (8 * size[1])) if part.shape[0] > 32 * size[1] else 1
    wide, high = part.shape[1] / by_x, part.shape[0] / by_y
    alpha = part[..., 3].astype(np.float32) / 255
    flat = alpha.min() == 1
    planes = [LINEAR[part[..., i]] if flat else LINEAR[part[..., i]] * alpha for i in range(3)] + ([] if flat else [alpha])
    out = []
    for plane in planes:
        if by_x > 1 or by_y > 1:
            pad = ((0, -plane.shape[0] % by_y), (0, -plane.shape[1] % by_x))
            plane = np.pad(plane, pad, "edge")
            plane = plane.reshape(plane.shape[0] // by_y, by_y, plane.shape[1] // by_x, by_x).mean((1, 3), dtype=np.float32)
        out.append(np.asarray(Image.fromarray(plane).resize(size, Image.LANCZOS, box=(0, 0, wide, high))))
    # Colour is premultiplied colour through alpha as the filter left them: both overshoot alike.
    alpha = np.ones(size[::-1]) if flat else out[3]
    safe = np.where(alpha > 1e-6, alpha, 1)
    return np.dstack([coded(plane / safe) for plane in out[:3]] + [255 * np.clip(alpha, 0, 1)])


def luma(rgba):
    """Rec. 601 luma of gamma-coded colours on black, opaque, in all three channels: what the original answered.

    Premultiplied as Go's image/color does it, in 16 bits and then cut to 8.
    """
    on_black = np.floor(rgba[..., :3] * 257 * rgba[..., 3:] * 257 / 65535 / 256)
    y = on_black @ np.array([0.299, 0.587, 0.114])
    return np.dstack([y, y, y, np.full_like(y, 255)])


def on_white(rgba):
    rgba = np.asarray(rgba, np.float64)
    alpha = rgba[..., 3:] / 255
    return rgba[..., :3] * alpha + 255 * (1 - alpha)


def through_jpeg(rgb, image):
    """The reference after the same loss: JPEG of quality 100 with the chroma sampling of the answer."""
    sampling = JpegImagePlugin.get_sampling(image)
    if image.mode != "RGB" or sampling not in (1, 2):
        return rgb
    out = io.BytesIO()
    Image.fromarray(np.clip(np.rint(rgb), 0, 255).astype(np.uint8)).save(out, "JPEG", quality=100, subsampling=sampling)
    return np.asarray(Image.open(out).convert("RGB"), np.float64)
