"""Checks colours and orientations of a running server against a colour-managed reference.

usage: color.py BASE_URL CORPUS_DIR

CMYK, YCCK, Adobe-RGB, Display-P3 and gray sources: the mean CIEDE2000 between the server's unscaled answer and the
LittleCMS 2 reference (perceptual intent, black point compensation off) is at most 2.0. The eight EXIF orientations of one scene, 300 px wide, are alike: mean difference at most 6 of 255.
The server's images are CORPUS_DIR and its jpeg-quality is 100.
"""
import io
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

import reference

DELTA_E_LIMIT = 2.0
ALIKE_LIMIT = 6.0
SCENES = [f"orientation/recurser__{shape}_{{}}.jpg" for shape in ("Landscape", "Portrait")]


def fetch(base, parameters, name):
    with urllib.request.urlopen(f"{base}/image/{parameters}/{urllib.parse.quote(name)}", timeout=30) as answer:
        image = Image.open(io.BytesIO(answer.read()))
        image.load()
        return image


def lab(rgb):
    """CIE L*a*b* (D65) of 8-bit sRGB."""
    light = np.asarray(rgb, np.float64) / 255
    light = np.where(light <= 0.04045, light / 12.92, ((light + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
    ratio = light @ matrix.T / matrix.sum(axis=1)
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def ciede2000(one, two):
    """Colour difference by Sharma, Wu and Dalal (2005), all weights 1."""
    l1, a1, b1 = np.moveaxis(np.asarray(one, np.float64), -1, 0)
    l2, a2, b2 = np.moveaxis(np.asarray(two, np.float64), -1, 0)
    mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 0.5 * (1 - np.sqrt(mean ** 7 / (mean ** 7 + 25.0 ** 7)))
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360
    gray = c1 * c2 == 0
    turn = np.where(gray, 0, (h2 - h1 + 180) % 360 - 180)
    turn = np.where((turn == -180) & (h2 > h1), 180, turn)
    dl, dc = l2 - l1, c2 - c1
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    lm, cm = (l1 + l2) / 2, (c1 + c2) / 2
    far = np.abs(h1 - h2) > 180
    hm = np.where(gray, h1 + h2, np.where(far, (h1 + h2 + np.where(h1 + h2 < 360, 360, -360)) / 2, (h1 + h2) / 2))
    t = (1 - 0.17 * np.cos(np.radians(hm - 30)) + 0.24 * np.cos(np.radians(2 * hm))
         + 0.32 * np.cos(np.radians(3 * hm + 6)) - 0.20 * np.cos(np.radians(4 * hm - 63)))
    sl = 1 + 0.015 * (lm - 50) ** 2 / np.sqrt(20 + (lm - 50) ** 2)
    sc, sh = 1 + 0.045 * cm, 1 + 0.015 * cm * t
    rc = 2 * np.sqrt(cm ** 7 / (cm ** 7 + 25.0 ** 7))
    rt = -np.sin(np.radians(60 * np.exp(-((hm - 275) / 25) ** 2))) * rc
    return np.sqrt((dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + rt * (dc / sc) * (dh / sh))


def prove_ciede2000():
    """Pairs of the published test data (Sharma, Wu and Dalal, table 1)."""
    pairs = [((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425), ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0),
             ((50, 0, 0), (50, -1, 2), 2.3669), ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
             ((50, 2.5, 0), (73, 25, -18), 27.1492), ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
             ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082)]
    for one, two, want in pairs:
        got = float(ciede2000(np.array(one), np.array(two)))
        assert abs(got - want) < 1e-4, (one, two, got, want)


def colours(base, root):
    """(name, what went wrong or None, line) of every source that is not plain sRGB."""
    for path in sorted(root.glob("photos/*.jpg")):
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as head:
            profile = head.info.get("icc_profile")
            title = ImageCms.getProfileDescription(io.BytesIO(profile)).strip() if profile else "no profile"
            special = head.mode == "CMYK" or head.mode == "L" or profile and "srgb" not in title.lower()
        if not special:
            continue
        name = str(path.relative_to(root))
        pixels = next(iter(reference.read(data).turned.values()))
        wide, high = min(1000, pixels.shape[1]), min(1000, pixels.shape[0])
        answer = fetch(base, f"w_{wide},h_{high},c_k", name)
        got = np.asarray(answer.convert("RGB"))
        if got.shape[:2] != (high, wide):
            yield name, f"size {answer.size}, want {(wide, high)}"
            continue
        seen = lab(got)
        mean, top = measured(seen, pixels[:high, :wide, :3])
        print(f"{mean:6.2f} mean {top:6.2f} 99 %   {title:<28} {name}")
        yield name, f"mean CIEDE2000 {mean:.2f}" if mean > DELTA_E_LIMIT else None


def measured(seen, want):
    apart = ciede2000(seen, lab(want))
    return float(apart.mean()), float(np.percentile(apart, 99))


def scenes(base):
    for scene in SCENES:
        upright = np.asarray(fetch(base, "w_300", scene.format(1)).convert("RGB"), np.float64)
        for orientation in range(2, 9):
            name = scene.format(orientation)
            image = np.asarray(fetch(base, "w_300", name).convert("RGB"), np.float64)
            if image.shape != upright.shape:
                yield name, f"shape {image.shape}, want {upright.shape}"
                continue
            apart = float(np.abs(image - upright).mean())
            print(f"{apart:6.2f} mean difference to orientation 1   {name}")
            yield name, f"mean difference {apart:.1f}" if apart > ALIKE_LIMIT else None


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    prove_ciede2000()
    base, root = sys.argv[1].rstrip("/"), Path(sys.argv[2])
    results = list(colours(base, root)) + list(scenes(base))
    failures = [f"FAIL: {name} -> {why}" for name, why in results if why]
    print(*failures, sep="\n")
    print(f"{len(results)} comparisons, {len(failures)} failures")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
