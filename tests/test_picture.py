"""README's picture: what it shows of a sample is what the stages wrote."""

import numpy as np
import pytest
from PIL import Image
from toy_results import toys, write_results

from lab.studies.picture import draw_picture, read_panel
from stages.artifacts import AnywordError
from stages.artifacts.results import Results

CHOICE = {"parser": "truth", "inverter": "toy", "attender": "toy"}


def test_a_panel_shows_what_the_stages_wrote(tmp_path):
    write_results(tmp_path)
    toy, other = toys()[0], toys()[3]
    panel, last = (
        read_panel(Results(tmp_path), one.id, [("with SAM", "toy")], **CHOICE, said=said)
        for one, said in ((toy, ""), (other, "A failure: "))
    )
    assert (panel.text, last.text) == (toy.text, "A failure: " + other.text)
    assert [word for word, _ in panel.maps] == ["red", "circle", "blue", "square"]
    [(name, masks)] = panel.masks
    assert name == "with SAM"
    assert [phrase for phrase, _ in masks] == ["a red circle", "a blue square"]
    draw_picture([last, panel], tmp_path / "picture.png", width=6, dpi=60)
    with Image.open(tmp_path / "picture.png") as image:
        assert image.width == 360
        assert np.asarray(image.convert("RGB")).std() > 10


def test_a_sample_that_cannot_be_shown_is_named(tmp_path):
    write_results(tmp_path)
    with pytest.raises(AnywordError, match=rf"'{toys()[2].id}' failed: .*no map"):
        read_panel(Results(tmp_path), toys()[2].id, [("with SAM", "toy")], **CHOICE)
    with pytest.raises(AnywordError, match="has no sample 'nobody'"):
        read_panel(Results(tmp_path), "nobody", [("with SAM", "toy")], **CHOICE)
