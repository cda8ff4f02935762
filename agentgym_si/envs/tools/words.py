"""Names and words that the domains of `agentgym_si/Tools-v0` draw from."""

from __future__ import annotations

_NAMES = """
Ada Ben Cleo Dora Emil Fay Gus Hana Ivo Jana Kai Lena Max Nora Otto Pia Quin Rosa Sam Tara Uma Vera
Walt Xenia Yuri Zoe Alma Bruno Carl Dina Elsa Fritz Gina Hugo Ida Jon Kira Leo Mila Nils Olga Paul
Rita Sven Tilda Urs Vito Wanda
"""
_CITIES = """
Athens Berlin Cairo Delhi Essen Fez Ghent Hanoi Izmir Jena Kyoto Lima Malmo Nice Oslo Paris Quito
Rome Seoul Turin Udine Vigo Wels York Zurich Accra Basel Cork Dakar Exeter Faro Graz Havana Ibiza
Jaffa Kiel Lagos Minsk Nantes Osaka
"""
_ITEMS = """
anvil basket candle desk easel flute globe hammer iron jar kettle lamp mirror needle oven pillow
quilt radio saddle table umbrella vase wallet yarn zither bottle clock drum fan guitar helmet ladder
"""
_WORDS = """
amber birch cedar delta ember fjord grove haven iris jade kelp lotus maple north onyx pearl quartz
raven slate tulip ultra violet willow xylem yonder zephyr acorn breeze cobalt dune echo falcon
garnet harbor indigo juniper kite linen meadow nectar olive prairie quill ridge saffron timber
upland velvet walnut yeast zinc aspen basil clover daisy elm fern ginger
"""

NAMES, CITIES, ITEMS, WORDS = (text.split() for text in (_NAMES, _CITIES, _ITEMS, _WORDS))
