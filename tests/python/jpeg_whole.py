"""Compares pictures that were decoded at full size with what libjpeg-turbo makes of the same files, through Pillow.

usage: jpeg_whole.py FOLDER FILE...   FOLDER has FILE's name + ".raw": width, height and channels in a line, then the samples.
Samples may differ by 1. A file without one is skipped, as is one that Pillow refuses.
"""

import os
import sys

import numpy
from PIL import Image

Image.MAX_IMAGE_PIXELS = None
folder, n_compared, wrong = sys.argv[1], 0, []
for path in sys.argv[2:]:
    raw = os.path.join(folder, os.path.basename(path) + ".raw")
    if not os.path.exists(raw):
        continue
    try:
        expected = Image.open(path)
        expected.load()
    except (OSError, SyntaxError, ValueError):
        continue
    with open(raw, "rb") as file:
        width, height, channels = map(int, file.readline().split())
        found = numpy.frombuffer(file.read(), numpy.uint8).reshape(height, width, channels).astype(int)
    expected = numpy.asarray(expected).astype(int).reshape(height, width, -1)
    if channels == 4:
        # Pillow gives inks as stored or turned round, by its version.
        worst = min(abs(found - expected).max(), abs(found - (255 - expected)).max())
    else:
        worst = abs(found - expected).max()
    n_compared += 1
    if worst > 1:
        wrong.append(f"{path}: {worst} off")
print("\n".join(wrong))
print(f"{n_compared} pictures, {len(wrong)} differ by more than 1")
sys.exit(1 if wrong or not n_compared else 0)
