"""Write and read back each format that needs a library, draw text, convert colours."""

import io

from PIL import Image, ImageCms, ImageDraw, ImageFont, features

image = Image.linear_gradient("L").convert("RGB")
ImageDraw.Draw(image).text((10, 10), "wheel", fill="red", font=ImageFont.load_default(size=40))
assert image.getextrema()[0] == (0, 255), "no text was drawn"

for kind, options in {
    "PNG": {},
    "JPEG": {"quality": 95},
    "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_lzw"},
    "JPEG2000": {},
}.items():
    packed = io.BytesIO()
    image.save(packed, kind, **options)
    again = Image.open(io.BytesIO(packed.getvalue()))
    again.load()
    assert (again.format, again.size) == (kind, image.size), (again.format, again.size)
    if kind != "JPEG":
        assert again.convert("RGB").tobytes() == image.tobytes(), kind

for name in ("jpg", "jpg_2000", "zlib", "libtiff", "freetype2", "littlecms2", "webp", "xcb"):
    assert features.check(name), f"Pillow was built without {name}"

lab = ImageCms.createProfile("LAB")
assert ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), lab, outputMode="LAB").mode == "LAB"
