"""Pages in pages: what frames and shadow roots hold is told, clicked and filled as all else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agentgym_si.envs.web.visit import VisitEnv

pytestmark = pytest.mark.browser

Visit = Callable[..., VisitEnv]

OUTER = """<!doctype html><body style="margin:0"><h1>Outer</h1>
<iframe src="/inner" style="width:300px;height:150px;margin:40px 0 0 60px"></iframe>
<p id=p>nothing yet</p><div style="height:3000px"></div>"""

INNER = """<!doctype html><body><button onclick="top.document.getElementById('p').textContent =
 'clicked ' + event.isTrusted">Inside</button><input placeholder="Word">
<select><option>Red<option>Blue</select><div style="height:400px"></div>
<button onclick="this.textContent = 'low clicked'">Low</button>"""


def lines(observation: str) -> list[str]:
    """Return the elements' lines."""
    return [line for line in observation.splitlines() if line.startswith("[")]


def test_a_frame_of_the_same_origin_is_part_of_the_page(visit: Visit) -> None:
    """Clicks that land beside the element by where its frame begins, or how far it is scrolled."""
    env = visit({"": OUTER, "inner": INNER})
    assert lines(env.reset(seed=0)[0]) == [
        '[1] text "Outer"',
        '[2] button "Inside"',
        '[3] textbox "Word"',
        '[4] combobox value="Red" options=["Red", "Blue"]',
        '[5] button "Low"',
        '[6] text "nothing yet"',
    ]
    assert '[6] text "clicked true"' in env.step("click('2')")[0]
    assert '[3] textbox "Word" value="tea" focused' in env.step("fill('3', 'tea')")[0]
    assert '[4] combobox value="Blue"' in env.step("select_option('4', 'Blue')")[0]
    assert '[5] button "low clicked"' in env.step("click('5')")[0]
    assert '[3] textbox "Word" value="green" focused' in env.step("fill('3', 'green')")[0]
    env.step("scroll(0, 120)")
    assert '[6] text "clicked true"' in env.step("click('2')")[0]


def test_frames_in_frames_and_frames_made_by_scripts(visit: Visit) -> None:
    middle = '<body style="margin:7px"><iframe src="/inner" style="margin:9px"></iframe>'
    env = visit({"": OUTER.replace("/inner", "/middle"), "middle": middle, "inner": INNER})
    observation = env.reset(seed=0)[0]
    number = next(line for line in lines(observation) if "Inside" in line).split("]")[0][1:]
    assert '"clicked true"' in env.step(f"click('{number}')")[0]
    env = visit("""<body><script>
      const frame = document.body.appendChild(document.createElement("iframe"));
      frame.contentDocument.body.innerHTML = "<button>Made</button>";
      frame.contentDocument.querySelector("button").onclick =
        (event) => { event.target.textContent = "Hit"; };
    </script>""")
    assert lines(env.reset(seed=0)[0]) == ['[1] button "Made"']
    assert lines(env.step("click('1')")[0])[0].startswith('[1] button "Hit"')


def test_a_link_in_a_frame_moves_the_frame_alone(visit: Visit) -> None:
    """What is told of a frame before its next document has come."""
    pages = {"": OUTER, "inner": "<a href='/next'>on</a>", "next": "<p>arrived</p>"}
    env = visit(pages)
    env.reset(seed=0)
    observation, _, _, _, info = env.step("click('2')")
    assert '"arrived"' in observation and '"on"' not in observation
    assert info["url"] == "http://home.test/"


def test_what_lies_over_a_frame_covers_what_is_in_it(visit: Visit) -> None:
    cover = "<div style='position:fixed;inset:0;background:#fff'>over</div>"
    env = visit({"": OUTER + cover, "inner": INNER})
    env.reset(seed=0)
    assert "error: element [2] is covered by" in env.step("click('2')")[0]


def test_a_frame_of_another_origin_is_one_line(visit: Visit) -> None:
    outer = OUTER.replace("/inner", "http://other.test/")
    env = visit({"": outer, "http://other.test/": "<title>T</title><button>Secret</button>"})
    observation, info = env.reset(seed=0)
    assert "failure" not in info
    assert lines(observation)[1:2] == ['[2] frame "http://other.test/" closed']
    assert "Secret" not in observation


SHADOW = """<!doctype html><my-box></my-box><script>
customElements.define("my-box", class extends HTMLElement {
  connectedCallback() {
    const root = this.attachShadow({mode: "MODE"});
    root.innerHTML = `<p>shade</p><button>Press</button><input aria-label="Deep">
      <div><my-inner></my-inner></div>`;
    root.querySelector("button").onclick = (event) => { event.target.textContent = "Pressed"; };
    const inner = root.querySelector("my-inner").attachShadow({mode: "MODE"});
    inner.innerHTML = "<button>Deeper</button>";
    inner.querySelector("button").onclick = (event) => { event.target.textContent = "Found"; };
  }
});
</script>"""


def test_open_shadow_roots_are_part_of_the_page(visit: Visit) -> None:
    env = visit(SHADOW.replace("MODE", "open"))
    assert lines(env.reset(seed=0)[0]) == [
        '[1] text "shade"',
        '[2] button "Press"',
        '[3] textbox "Deep"',
        '[4] button "Deeper"',
    ]
    assert '[2] button "Pressed"' in env.step("click('2')")[0]
    assert '[3] textbox "Deep" value="a" focused' in env.step("fill('3', 'a')")[0]
    assert '[4] button "Found"' in env.step("click('4')")[0]


def test_slotted_content_is_told_once(visit: Visit) -> None:
    """Children of a host that only its shadow shows, lost or told twice."""
    env = visit("""<my-card><b slot="title">Title</b><button>Slotted</button></my-card><script>
      customElements.define("my-card", class extends HTMLElement {
        connectedCallback() {
          this.attachShadow({mode: "open"}).innerHTML =
            "<h2><slot name=title></slot></h2><slot></slot><p>own</p>";
        }
      });</script>""")
    observation = env.reset(seed=0)[0]
    for word in ("Title", "Slotted", "own"):
        assert observation.count(f'"{word}"') == 1, observation
