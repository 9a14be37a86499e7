"""The answers of `hfgrowth page` in a browser: a field for ids, and what comes of them."""

import os
import re
import sys
from pathlib import Path

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # Gradio reads these when it is imported
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import gradio as gr
from markupsafe import escape

from bayes_hfgrowth import ForecastError, HFGrowthError, PopulationPosterior, load_population
from bayes_hfgrowth.answer_page import ask
from bayes_hfgrowth.answer_page.document import answer_style, render_answer
from bayes_hfgrowth.sources.client import Patience

TITLE = "How many fine-tunes will it have?"
INTRODUCTION = f"""# {TITLE}

Give base models of the Hugging Face Hub, `namespace/name`, or a namespace for all of its base
models. Their fine-tunes so far are counted, and forecast with intervals."""

EXAMPLES = ["mistralai/Mistral-7B-v0.1", "meta-llama/Llama-3.1-8B Qwen/Qwen2.5-7B", "deepseek-ai"]
FIRST = "mistralai/Mistral-7B-v0.1"

# Gradio takes rules of style as those of what stands within its margins, and these are the margins.
NARROW = """<style>
@media (max-width: 30rem) { body .gradio-container > .main { padding-inline: 0.75rem; } }
</style>"""

# Somebody waits in front of it, so it waits for the Hub a minute and not eleven.
PATIENCE = Patience(timeout=15.0, attempts=4, longest_wait=60.0)


def answer(
    population: PopulationPosterior,
    names: str,
    until: str = "",
    threshold: str = "",
    as_of: str = "",
    shipped: bool = False,
) -> str:
    """Answer what stands in the fields of the app.

    Parameters
    ----------
    population : PopulationPosterior
        To forecast from.
    names : str
        Ids and namespaces, with spaces, commas or ends of lines between them.
    until, as_of : str
        Dates; empty for 12 months ahead, and for today.
    threshold : str
        Count whose passing is asked about; empty for none.
    shipped : bool
        Whether to take the counts that come with the package and not those of the Hub.

    Returns
    -------
    str
        HTML: the answer, or one line that says why there is none.
    """
    try:
        content = ask(
            [name for name in re.split(r"[\s,;]+", names or "") if name],
            until=(until or "").strip() or None,
            threshold=_count(threshold or ""),
            as_of=(as_of or "").strip() or None,
            example=True if shipped else "offline",
            population=population,
            patience=PATIENCE,
            progress=False,
        )
    except HFGrowthError as error:
        return f'<div class="hfgrowth"><p class="alarm" role="alert">{escape(error)}</p></div>'
    return render_answer(content)


def _count(text: str) -> float | None:
    """Read a number as people write it; whether it is a count is for the package to say."""
    plain = text.replace(",", "").strip()
    try:
        return float(plain) if plain else None
    except ValueError:
        raise ForecastError(
            f"threshold {text!r} is no count; give a whole number from 0 on"
        ) from None


def build(population: PopulationPosterior) -> gr.Blocks:
    """Put the fields together, and what happens when the button is pressed.

    Parameters
    ----------
    population : PopulationPosterior
        To forecast from.
    """

    def answered(names: str, until: str, threshold: str, as_of: str, shipped: bool) -> str:
        return answer(population, names, until, threshold, as_of, shipped)

    with gr.Blocks(title=TITLE, analytics_enabled=False) as blocks:
        gr.Markdown(INTRODUCTION)
        names = gr.Textbox(
            label="Base models or namespaces",
            placeholder=FIRST,
            elem_id="names",
            html_attributes=gr.InputHTMLAttributes(
                autocapitalize="off", autocorrect="off", spellcheck=False, enterkeyhint="go"
            ),
        )
        gr.Examples(EXAMPLES, names, label="For example")
        with gr.Accordion("Date, threshold, other counts", open=False):
            with gr.Row():
                until = gr.Textbox(label="Until", info="12 months ahead without a date",
                                   placeholder="YYYY-MM-DD")  # fmt: skip
                threshold = gr.Textbox(label="Above how many fine-tunes?",
                                       info="Not asked without a number",
                                       placeholder="5,000")  # fmt: skip
                as_of = gr.Textbox(label="From what was known on", info="Today without a date",
                                   placeholder="YYYY-MM-DD")  # fmt: skip
            shipped = gr.Checkbox(label="Take the counts that come with the package, not the Hub's")
        button = gr.Button("Ask", variant="primary", elem_id="ask")
        found = gr.HTML(elem_id="answer", apply_default_css=False, js_on_load=None)
        gr.on(
            [button.click, names.submit, until.submit, threshold.submit, as_of.submit],
            answered, [names, until, threshold, as_of, shipped], found,
            api_name="ask", concurrency_limit=1,
        )  # fmt: skip
    return blocks


def main() -> None:
    """Run the app, on the address that GRADIO_SERVER_NAME and GRADIO_SERVER_PORT say."""
    try:
        population = load_population()
    except HFGrowthError as error:
        sys.stderr.write(f"app: {error}\n")
        sys.exit(2)  # as the commands do
    # The first forecast compiles, which takes half a minute: nobody shall wait for that.
    answer(population, FIRST, shipped=True)
    style = Path(__file__).with_name("app.css").read_text(encoding="utf-8")
    build(population).queue(max_size=30).launch(
        share=False, ssr_mode=False, footer_links=[], css=style + answer_style(), head=NARROW,
        theme=_theme(),
    )  # fmt: skip


def _theme() -> gr.themes.Base:
    """Choose fonts that every machine has, and greys that can be read."""
    fonts = ("system-ui", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
    return gr.themes.Default(primary_hue="blue", font=fonts, font_mono=("monospace",)).set(
        block_info_text_color="#55606b", block_info_text_color_dark="#a9b4be",
        block_label_text_color="#3f4851", block_title_text_color="#3f4851",
        block_title_text_color_dark="#e8ecef",
        input_placeholder_color="#6b7580", input_placeholder_color_dark="#98a3ad",
    )  # fmt: skip


if __name__ == "__main__":
    main()
