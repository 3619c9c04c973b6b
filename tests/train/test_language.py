"""The trainer of the language: it knows the language of sentences that it has never seen."""

from __future__ import annotations

import json

import msgspec
import pytest

from tepal import manifest
from tests import servers
from tests.training import ask, curls, refusal, run, train, without_pandas
from train.language import SENTENCES, read_sentences

# Written for this test: none of them is in the training data.
UNSEEN = {
    "Czech": [
        "Kde je nejbližší lékárna?",
        "Zítra pojedeme autobusem k babičce na venkov.",
        "Můj pes má rád kosti a dlouhé procházky.",
    ],
    "Dutch": [
        "Waar is de dichtstbijzijnde apotheek?",
        "Morgen gaan we met de bus naar onze grootouders.",
        "Mijn hond houdt van lange wandelingen.",
    ],
    "English": [
        "Where can I find the nearest pharmacy?",
        "Tomorrow we will take the bus to our grandparents.",
        "My dog loves bones and long walks.",
    ],
    "Finnish": [
        "Missä on lähin apteekki?",
        "Huomenna menemme bussilla isovanhempien luokse maalle.",
        "Koirani rakastaa pitkiä kävelyretkiä.",
    ],
    "French": [
        "Où se trouve la pharmacie la plus proche ?",
        "Demain, nous irons en bus chez nos grands-parents.",
        "Mon chien aime les longues promenades.",
    ],
    "German": [
        "Wo ist die nächste Apotheke?",
        "Morgen fahren wir mit dem Bus zu unseren Großeltern.",
        "Mein Hund mag Knochen und lange Spaziergänge.",
    ],
    "Italian": [
        "Dove si trova la farmacia più vicina?",
        "Domani andremo in autobus dai nostri nonni.",
        "Al mio cane piacciono le lunghe passeggiate.",
    ],
    "Polish": [
        "Gdzie jest najbliższa apteka?",
        "Jutro pojedziemy autobusem do dziadków na wieś.",
        "Mój pies lubi kości i długie spacery.",
    ],
    "Portuguese": [
        "Onde fica a farmácia mais próxima?",
        "Amanhã vamos de autocarro a casa dos nossos avós.",
        "O meu cão adora ossos e longos passeios.",
    ],
    "Spanish": [
        "¿Dónde está la farmacia más cercana?",
        "Mañana iremos en autobús a casa de nuestros abuelos.",
        "A mi perro le gustan los huesos y los paseos largos.",
    ],
    "Swedish": [
        "Var ligger närmaste apotek?",
        "I morgon åker vi buss till våra morföräldrar på landet.",
        "Min hund älskar ben och långa promenader.",
    ],
    "Turkish": [
        "En yakın eczane nerede?",
        "Yarın otobüsle büyükannemizin köyüne gideceğiz.",
        "Köpeğim kemikleri ve uzun yürüyüşleri çok sever.",
    ],
}


@pytest.fixture(name="trained", scope="module")
def _trained(tmp_path_factory):
    """The model repository in which the trainer left its model, and what it told."""
    store = tmp_path_factory.mktemp("store")
    result = train(store, "language", **without_pandas(tmp_path_factory.mktemp("without")))  # which it does not need
    assert result.returncode == 0, result.stderr
    return store, result.stdout


@pytest.fixture(name="server", scope="module")
def _server(trained):
    with servers.gunicorn(trained[0], WEB_CONCURRENCY="1") as server:
        yield server


def test_it_tells_what_it_did_and_what_doing_nothing_would_have_got(trained):
    store, told = trained
    published = manifest.read(store / "language" / "1")

    assert published.signature.names == ("text",)
    assert published.outputs[0].classes == tuple(sorted(UNSEEN))
    assert "432 sentences in 12 languages" in told
    assert f"accuracy        {published.metrics['cross_validated_accuracy']:.4f} on unseen sentences" in told
    assert published.metrics["cross_validated_accuracy"] > 0.98
    assert published.metrics["accuracy_of_always_one"] == 0.0833
    matrix = published.metrics["confusion_matrix"]
    assert matrix["labels"] == list(published.outputs[0].classes)
    right = sum(row[i] for i, row in enumerate(matrix["counts"])) / sum(map(sum, matrix["counts"]))
    assert round(right, 4) == published.metrics["cross_validated_accuracy"]


def test_the_printed_request_gets_a_label_and_a_probability_for_each(trained, server):
    (command,) = curls(trained[1])

    answer = run(command, server.url)

    assert answer["predictions"] == ["German"]
    (chances,) = answer["probabilities"]
    assert chances.keys() == UNSEEN.keys()
    assert chances["German"] > 0.9
    assert sum(chances.values()) == pytest.approx(1)


def test_it_knows_the_language_of_sentences_that_it_never_saw(server):
    asked = [(language, sentence) for language, sentences in UNSEEN.items() for sentence in sentences]
    seen = set(read_sentences(SENTENCES)[0])
    assert not seen & {sentence for _, sentence in asked}

    body = json.dumps([{"text": sentence} for _, sentence in asked])
    _, answer = ask(server.port, "/models/language/predict", body, "application/json")

    wrong = [(sentence, got) for (language, sentence), got in zip(asked, answer["predictions"]) if got != language]
    assert wrong == []


def test_each_language_has_as_many_sentences_and_none_twice():
    sentences, languages = read_sentences(SENTENCES)

    assert len(set(sentences)) == len(sentences)
    assert {language: languages.count(language) for language in languages} == dict.fromkeys(UNSEEN, 36)


def test_it_takes_sentences_of_its_users_own(tmp_path):
    file = tmp_path / "latin.txt"
    latin = [
        "Gallia est omnis divisa",
        "in partes tres",
        "quarum unam incolunt Belgae",
        "aliam Aquitani",
        "tertiam qui",
        "ipsorum",
    ]
    greek = [
        "Η θάλασσα είναι ήρεμη",
        "Ο ήλιος λάμπει",
        "Πού είναι το λιμάνι",
        "Καλημέρα σας",
        "Το ψωμί είναι ζεστό",
        "Ευχαριστώ πολύ",
    ]
    text = "\n".join(["# mine", "", "[Latin]", *latin, "", " [ Greek ] ", *greek])
    file.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())

    result = train(tmp_path / "store", "language", "--data", file)

    assert result.returncode == 0, result.stderr
    published = manifest.read(tmp_path / "store" / "language" / "1")
    assert published.outputs[0].classes == ("Greek", "Latin")
    assert msgspec.to_builtins(published.meta) == {"data": str(file), "sentences": {"Greek": 6, "Latin": 6}}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot read {file}: No such file or directory"),
        (b"", "{file}: it takes two languages of 6 sentences each at least; it has none"),
        (b"[A]\none\n[B]\n" + b"two\n" * 9, "{file}: it takes two languages of 6 sentences each at least; [A] has 1"),
        (b"# mine\none\n", "{file}: line 2 stands before the first language, such as [English]"),
        (b"[A]\n\xff\xfe\n", "cannot read {file}: 'utf-8' codec can't decode"),
    ],
)
def test_data_that_cannot_be_used_is_one_sentence(tmp_path, content, sentence):
    file = tmp_path / "sentences.txt"
    if content is not None:
        file.write_bytes(content)

    assert refusal(train(tmp_path / "store", "language", "--data", file)).startswith(sentence.format(file=file))
    assert not (tmp_path / "store").exists()
