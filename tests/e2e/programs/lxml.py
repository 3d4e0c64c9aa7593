"""Parse, transform, validate: libxml2, libxslt and libexslt at work."""

from lxml import etree

document = etree.fromstring('<sum xmlns:x="urn:x"><x:n>2</x:n><x:n>40</x:n></sum>')
style = etree.fromstring(
    '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:x="urn:x" '
    'xmlns:math="http://exslt.org/math" extension-element-prefixes="math"><xsl:template match="/sum">'
    '<result max="{math:max(x:n)}"><xsl:value-of select="sum(x:n)"/></result></xsl:template></xsl:stylesheet>'
)
result = etree.XSLT(style)(document).getroot()
assert (result.tag, result.text, result.get("max")) == ("result", "42", "40"), etree.tostring(result)

# A character set that only ICU or iconv knows.
assert etree.fromstring("<?xml version='1.0' encoding='windows-1251'?><a>\u0416</a>".encode("cp1251")).text == "\u0416"

schema = etree.RelaxNG(
    etree.fromstring('<element name="a" xmlns="http://relaxng.org/ns/structure/1.0"><text/></element>')
)
assert schema.validate(etree.fromstring("<a>b</a>"))
assert not schema.validate(etree.fromstring("<c/>"))
