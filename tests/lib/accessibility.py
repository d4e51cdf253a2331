"""What a page owes to people who do not see it, see it badly, or have no mouse, checked in the real DOM.

The numbers are those of WCAG 2.2 (AA): contrast of text 4.5:1, of the borders of fields 3:1, targets of 24 px, no scrolling to
the side at 320 px (reflow). A text is measured as it is computed: through all backgrounds below it and all opacities above it.
"""

AUDIT = r"""
const faults = [];
const shown = e => e.checkVisibility({visibilityProperty: true, contentVisibilityAuto: true}) && !e.closest('[inert]');
const name = e => e.tagName.toLowerCase() + (e.id ? '#' + e.id : '') + ' "' + (e.textContent || '').trim().replace(/\s+/g, ' ').slice(0, 40) + '"';
const referred = (e, attribute) => (e.getAttribute(attribute) || '').split(/\s+/).filter(Boolean).map(id => {
  const other = document.getElementById(id);
  if (!other) faults.push(`${name(e)}: ${attribute} names "${id}", which is not there`);
  return other ? other.textContent.trim() : '';
}).join(' ').trim();
const called = e => (e.getAttribute('aria-label') || '').trim() || referred(e, 'aria-labelledby');

/* ---- the document ---- */
if (!document.documentElement.lang) faults.push('the document has no language');
if (!document.title.trim()) faults.push('the document has no title');
const view = document.querySelector('meta[name=viewport]');
if (!view || !/width=device-width/.test(view.content)) faults.push('no viewport of the device\'s width');
if (view && /user-scalable\s*=\s*no|maximum-scale/.test(view.content)) faults.push('the page forbids to zoom');
const mains = [...document.querySelectorAll('main, [role=main]')].filter(shown);
if (mains.length != 1) faults.push(`${mains.length} main landmarks`);
const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
ids.filter((id, i) => ids.indexOf(id) != i).forEach(id => faults.push(`two elements are called "${id}"`));

/* ---- headings ---- */
let last = 0;
const headings = [...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].filter(shown);
headings.forEach(e => {
  const level = +e.tagName[1];
  if (level > last + 1) faults.push(`${name(e)} comes after a heading of level ${last}`);
  if (!e.textContent.trim()) faults.push(`${name(e)} is empty`);
  last = level;
});
if (headings.filter(e => e.tagName == 'H1').length != 1) faults.push('not one heading of level 1');

/* ---- names ---- */
document.querySelectorAll('input:not([type=hidden]), select, textarea').forEach(e => {
  if (!shown(e)) return;
  const label = called(e) || [...(e.labels || [])].map(l => l.textContent.trim()).join(' ').trim();
  if (!label) faults.push(`${name(e)} (${e.type}) has no label`);
  else if (![...(e.labels || [])].some(shown) && !e.getAttribute('aria-labelledby')) faults.push(`the label of ${name(e)} is not seen`);
  referred(e, 'aria-describedby');
});
document.querySelectorAll('button, a[href], summary, [role=button]').forEach(e => {
  if (!shown(e)) return;
  if (!called(e) && !e.textContent.trim() && !e.querySelector('img[alt]')) faults.push(`${name(e)} has no name`);
  const box = e.getBoundingClientRect();
  const inText = e.tagName == 'A' && getComputedStyle(e).display == 'inline';
  if (!inText && (box.height < 24 || box.width < 24)) faults.push(`${name(e)} is only ${Math.round(box.width)} x ${Math.round(box.height)} px`);
});
document.querySelectorAll('img, svg, [role=img]').forEach(e => {
  if (!shown(e) || e.closest('[aria-hidden=true]')) return;
  if (!called(e) && !e.hasAttribute('alt') && !e.querySelector(':scope > title')) faults.push(`${name(e)}: a picture without words`);
});
document.querySelectorAll('table').forEach(e => {
  if (shown(e) && !e.querySelector('th')) faults.push(`${name(e)}: a table without headers`);
});
document.querySelectorAll('[tabindex]').forEach(e => {
  if (e.tabIndex > 0) faults.push(`${name(e)} jumps the queue (tabindex ${e.tabIndex})`);
});

/* ---- colours ---- */
const colour = text => {
  const parts = text.match(/[\d.]+/g).map(Number);
  if (/^rgb/.test(text)) return [parts[0], parts[1], parts[2], parts.length > 3 ? parts[3] : 1];
  if (/^color\(srgb/.test(text)) return [parts[0] * 255, parts[1] * 255, parts[2] * 255, parts.length > 3 ? parts[3] : 1];
  faults.push(`a colour that this check does not know: ${text}`);
  return [0, 0, 0, 1];
};
const over = (top, below) => {
  const alpha = top[3] + below[3] * (1 - top[3]);
  if (!alpha) return [0, 0, 0, 0];
  return [0, 1, 2].map(i => (top[i] * top[3] + below[i] * below[3] * (1 - top[3])) / alpha).concat(alpha);
};
const light = c => {
  const [r, g, b] = c.slice(0, 3).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a, b) => {
  const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
};
/* What the eye sees behind an element's own drawing: all backgrounds from the canvas up. */
const dark = matchMedia('(prefers-color-scheme: dark)').matches && /dark/.test(getComputedStyle(document.documentElement).colorScheme);
const canvas = dark ? [18, 18, 18, 1] : [255, 255, 255, 1];
const behind = e => {
  const layers = [];
  for (let at = e; at; at = at.parentElement) {
    const style = getComputedStyle(at);
    if (style.backgroundImage != 'none' && style.backgroundImage.includes('url')) faults.push(`${name(at)}: a picture behind text`);
    layers.push(colour(style.backgroundColor));
    if (at.tagName == 'DIALOG' && at.matches(':modal')) break;
  }
  return layers.reverse().reduce((below, top) => over(top, below), canvas);
};
const veil = e => { let value = 1; for (let at = e; at; at = at.parentElement) value *= +getComputedStyle(at).opacity; return value; };
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const modal = document.querySelector('dialog:modal');
while (texts.nextNode()) {
  const node = texts.currentNode, e = node.parentElement;
  if (!node.textContent.trim() || !shown(e) || e.closest('script, style, noscript')) continue;
  if (modal && !modal.contains(e)) continue;
  const box = document.createRange();
  box.selectNodeContents(node);
  const rect = box.getBoundingClientRect();
  if (rect.width < 2 || rect.height < 2 || getComputedStyle(e).clipPath != 'none') continue;
  const back = behind(e), front = colour(getComputedStyle(e).color);
  front[3] *= veil(e);
  const ratio = contrast(over(front, back), back);
  if (ratio < 4.5) faults.push(`${name(e)}: contrast ${ratio.toFixed(2)}`);
}
document.querySelectorAll('input:not([type=hidden]):not([type=checkbox]):not([type=radio]), select, textarea').forEach(e => {
  if (!shown(e) || (modal && !modal.contains(e))) return;
  const style = getComputedStyle(e), back = behind(e.parentElement);
  const edges = [over(colour(style.borderBottomColor), back), over(colour(style.backgroundColor), back)];
  const ratio = Math.max(...edges.map(edge => contrast(edge, back)));
  if (ratio < 3) faults.push(`the edge of ${name(e)}: contrast ${ratio.toFixed(2)}`);
  const inside = over(colour(style.backgroundColor), back);
  const ink = contrast(over(colour(style.color), inside), inside);
  if (ink < 4.5) faults.push(`what is typed into ${name(e)}: contrast ${ink.toFixed(2)}`);
});

/* ---- room ---- */
const root = document.documentElement;
if (root.scrollWidth > root.clientWidth) {
  const wide = [...document.querySelectorAll('body *')].filter(e => shown(e) && e.getBoundingClientRect().right > root.clientWidth + 1);
  faults.push(`${root.scrollWidth} px wide where there are ${root.clientWidth}: ${wide.slice(0, 3).map(name).join(', ')}`);
}
return faults;
"""

# What Tab must reach, in the order of the document.
OPERABLE = r"""
const shown = e => e.checkVisibility({visibilityProperty: true, contentVisibilityAuto: true}) && !e.closest('[inert]');
const modal = document.querySelector('dialog:modal');
return [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]')]
  .filter(e => shown(e) && !e.disabled && (!modal || modal.contains(e)))
  .map(e => { e.dataset.operable = e.dataset.operable || String(window.operable = (window.operable || 0) + 1); return e.dataset.operable; });
"""

FOCUSED = r"""
const e = document.activeElement;
if (!e || e == document.body || e == document.documentElement) return null;
const style = getComputedStyle(e);
const ring = style.outlineStyle != 'none' && parseFloat(style.outlineWidth) > 0;
return {mark: e.dataset.operable || null, ring: ring || style.boxShadow != 'none',
        name: e.tagName.toLowerCase() + ' "' + (e.textContent || e.name || '').trim().slice(0, 40) + '"'};
"""

NARROW = 320


def faults(browser):
    """All that is wrong with the page as it is now; at 320 px also (Chromium)."""
    found = [f"{text}" for text in browser.script(AUDIT)]
    if browser.kind == "chromium":
        browser.resize(NARROW, 640)
        found += [f"at {NARROW} px: {text}" for text in browser.script(AUDIT) if text not in found]
        browser.size_of_its_own()
    return found


def faults_of_keyboard(browser):
    """Tab goes through everything that can be operated, in the document's order, shows where it is, and comes out again."""
    browser.attend()
    wanted = browser.script(OPERABLE)
    browser.script("const start = document.querySelector('dialog:modal') || document.body; getSelection().removeAllRanges();"
                   "start.tabIndex = -1; start.focus(); start.removeAttribute('tabindex');")
    found, reached = [], []
    for _ in range(len(wanted) + 5):
        browser.press("Tab")
        focused = browser.script(FOCUSED)
        if not focused:
            break
        if focused["mark"] in reached:
            break
        if focused["mark"]:
            reached.append(focused["mark"])
        if not focused["ring"]:
            found.append(f"the focus on {focused['name']} is not seen")
    browser.attend()
    missed = [mark for mark in wanted if mark not in reached]
    names = [browser.script("const e = document.querySelector(`[data-operable='${arguments[0]}']`); return e ? e.outerHTML.slice(0, 90) : ''", m)
             for m in missed]
    found += [f"Tab does not reach {name}" for name in names]
    if not missed and reached != wanted:
        found.append(f"Tab goes another way than the document: {reached} instead of {wanted}")
    return found


def check(browser, state, schemes=("light", "dark")):
    """Asserts that the page as it is now is for everybody."""
    found = []
    for scheme in schemes:
        browser.colours(scheme)
        found += [f"{scheme}: {text}" for text in faults(browser)]
    browser.colours("light")
    found += faults_of_keyboard(browser)
    assert not found, f"{state} in {browser.kind}:\n  " + "\n  ".join(found)
