"""Encodings of words: proven ones are right, and short or odd texts are left in doubt."""

import re

import pytest

from features.intake.csv_text.letters import judge_words

TEXTS = {
    "windows-1251": [
        "Сайт Звонок",
        "сайт звонок",
        "САЙТ ЗВОНОК ПРИЁМ ИМЯ",
        "да нет",
        "Имя",
        "Київ Львів їжак",
        "Заявка с сайта ООО Ромашка",
    ],
    "windows-1252": [
        "Müller",
        "Größe Straße Käufer",
        "Hélène Crème Geneviève Thérèse",
        "Élodie François Noël",
        "Übersicht für Jörg Köln Düsseldorf",
        "“quoted” text",
    ],
    "koi8-r": ["Сайт Звонок", "Иван Петров Мария Сидорова"],
    "cp866": ["Сайт Звонок", "Заявка с сайта Звонок"],
    "windows-1253": ["Αθήνα Θεσσαλονίκη", "Γιώργος Παπαδόπουλος"],
    "windows-1257": ["Jānis Bērziņš Rīga"],
    "windows-1254": ["müşteri çağrı"],
}
IN_DOUBT = {
    "windows-1251": ["я", "№5", "САЙТ"],
    "windows-1252": ["Hélène", "à la carte", "Malmö Åsa", "Æ Ø Å Søren", "Þór Sigríður"],
    "windows-1250": ["Łukasz", "Žižkov Dvořák Novák", "Győr Szőke", "Łódź Kraków"],
    "windows-1254": ["Çağlar Öztürk", "Ayşe Yılmaz", "İstanbul Şişli Beyoğlu"],
    "gbk": ["中文 客户 电话 网站 来源"],
    "shift_jis": ["東京 電話 ウェブ 顧客"],
    "euc_kr": ["서울 전화 고객"],
    "windows-1255": ["שלום לקוח אתר"],
    "windows-1256": ["مرحبا عميل موقع"],
}


def judge(text, encoding):
    words = re.findall(rb"[A-Za-z\x80-\xff]+", text.encode(encoding))
    return judge_words([word for word in words if not word.isascii()])


@pytest.mark.parametrize(("encoding", "text"), [(e, t) for e, all_ in TEXTS.items() for t in all_])
def test_words_prove_their_encoding(encoding, text):
    verdict = judge(text, encoding)
    assert (verdict.encoding, verdict.proven) == (encoding, True)


@pytest.mark.parametrize(
    ("encoding", "text"), [(e, t) for e, all_ in IN_DOUBT.items() for t in all_]
)
def test_words_that_fit_two_encodings_or_none_prove_nothing(encoding, text):
    assert not judge(text, encoding).proven
