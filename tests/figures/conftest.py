"""What the tests of figures share."""

import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text


def contrast(colour, background):
    """Return the contrast ratio of two colours as the Web Content Accessibility Guidelines define it, 1 to 21."""

    def luminance(name):
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(name)]
        return sum(v * weight for v, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))

    lighter, darker = sorted((luminance(colour), luminance(background)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.fixture
def check_readable():
    """Check that a figure that a widget shows is readable in a light and in a dark theme.

    The figure brings its own opaque background, so that the theme does not matter.
    """

    def check(fig):
        fig.canvas.draw()
        assert to_rgb(fig.get_facecolor()) == (1, 1, 1)
        assert fig.get_facecolor()[3] == 1
        texts = [text for text in fig.findobj(Text) if text.get_text().strip()]
        assert len(texts) >= 4
        for text in texts:
            assert contrast(text.get_color(), "white") >= 3, text.get_text()

    return check


@pytest.fixture
def legend_texts():
    """Read the labels of the legend of a figure or of axes."""

    def read(owner):
        legends = owner.legends if hasattr(owner, "legends") else [owner.get_legend()]
        return [text.get_text() for legend in legends for text in legend.get_texts()]

    return read
