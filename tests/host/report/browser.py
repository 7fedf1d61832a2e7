"""``browser.py PAGE WIDTH``: open a page in Qt's browser, and print how wide it is and what is wider than it, as JSON.

What is within an element that scrolls by itself does not count.
"""

import sys
from pathlib import Path

from PySide6.QtCore import QTimer, QUrl
from PySide6.QtWebEngineWidgets import QWebEngineView
from PySide6.QtWidgets import QApplication

SCRIPT = """
(() => {
  const width = document.documentElement.clientWidth, wider = [];
  document.querySelectorAll('details').forEach(folded => folded.open = true);
  document.querySelectorAll('body *').forEach(element => {
    if (element.closest('.wide')) return;
    const box = element.getBoundingClientRect();
    if (box.width > 0 && box.right > width + 1) wider.push(element.tagName + ': ' + element.textContent.slice(0, 60));
  });
  return JSON.stringify({width, content: document.documentElement.scrollWidth, wider});
})()
"""

app = QApplication(sys.argv)
view = QWebEngineView()
view.resize(int(sys.argv[2]), 900)
page = view.page()


def _done(result):
    print(result)
    app.quit()


view.loadFinished.connect(lambda _: QTimer.singleShot(500, lambda: page.runJavaScript(SCRIPT, _done)))
view.load(QUrl.fromLocalFile(str(Path(sys.argv[1]).absolute())))
view.show()
QTimer.singleShot(30_000, app.quit)
app.exec()
