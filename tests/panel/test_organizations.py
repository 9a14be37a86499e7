import pytest

from bayes_hfgrowth import OrganizationError, load_example, read_organizations
from bayes_hfgrowth.panel.organizations import namespace, organization_table


def test_shipped_table_gives_the_labels_of_the_example():
    models = load_example().base_models
    assert organization_table().organizations(models.index) == list(models["organization"])
    assert models["organization"].nunique() == 17


@pytest.mark.parametrize(
    ("base_model", "organization"),
    [
        ("facebook/opt-125m", "Meta"),
        ("meta-llama/Llama-3.1-8B", "Meta"),
        ("Meta-LLaMA/Llama-3.1-8B", "Meta"),
        ("CohereForAI/aya-101", "CohereAI"),
        ("CohereLabs/aya-101", "CohereAI"),
        ("THUDM/chatglm-6b", "ZhipuAI"),
        ("zai-org/GLM-4.5", "ZhipuAI"),
        ("google-bert/bert-base-uncased", "Google"),
        ("tiiuae/falcon-7b", "tiiuae"),
        ("gpt2", "gpt2"),
    ],
)
def test_organization_of_a_base_model(base_model, organization):
    assert organization_table().organization(base_model) == organization


def test_unknown_namespace_in_several_spellings_is_one_organization():
    ids = ["TiiUAE/falcon-7b", "tiiuae/falcon-40b", "facebook/opt-125m"]
    assert organization_table().organizations(ids) == ["TiiUAE", "TiiUAE", "Meta"]


def test_namespace():
    assert namespace("meta-llama/Llama-3.1-8B") == "meta-llama"
    assert namespace("gpt2") == "gpt2"


def test_a_file_extends_and_overrides_the_shipped_table(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("namespace,organization\ntiiuae,TII\nFacebook,Facebook AI\ntiiuae,TII\n")
    table = read_organizations(path)
    assert table.organization("tiiuae/falcon-7b") == "TII"
    assert table.organization("facebook/opt-125m") == "Facebook AI"
    assert table.organization("meta-llama/Llama-3.1-8B") == "Meta"
    assert organization_table().organization("tiiuae/falcon-7b") == "tiiuae"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; a header and rows are needed"),
        ("namespace;organization\na;b\n", "has no column 'namespace'"),
        ("namespace,label\na,b\n", "has no column 'organization'"),
        ("namespace,organization\na,A\n,B\n", r"row 2 \(line 3\): namespace '' is empty"),
        ("namespace,organization\na,\n", r"row 1 \(line 2\): organization '' is empty"),
        ("namespace,organization\n\na,A \n", r"row 1 \(line 3\): .*'A ' has white space at an end"),
        ('namespace,organization\na,"A\nB"\n', r"row 1 \(line 3\): .*'A\\nB' has control"),
        ("namespace,organization\na/b,A\n", r"row 1 \(line 2\): namespace 'a/b' has a slash"),
        (
            "namespace,organization\na,A\nb,B\nA,C\n",
            r"row 3 \(line 4\): namespace 'A' goes to 'C' here but to 'A' in row 1",
        ),
        ("namespace,organization\na\n", "cannot be read as CSV"),
        ("<html></html>", "is not a CSV file; it holds a web page"),
    ],
)
def test_an_unusable_file_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "mine.csv"
    path.write_text(content)
    with pytest.raises(OrganizationError, match=message) as refusal:
        read_organizations(path)
    assert str(refusal.value).startswith(str(path))
    assert "\n" not in str(refusal.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(OrganizationError, match="no such file"):
        read_organizations(tmp_path / "none.csv")
