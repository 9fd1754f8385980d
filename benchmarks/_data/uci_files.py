"""The UCI tables of the mixup paper, as published: files, columns, classes, checksums, sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks._data.fetching import Archive

UCI = "https://archive.ics.uci.edu/static/public"


@dataclass(frozen=True)
class File:
    """One file as UCI publishes it, and what it should say."""

    name: str
    n_rows: int
    columns: tuple[str, ...]
    sha256: str  # of the values: float64, little-endian, row by row, words as their codes
    class_counts: Mapping[int, int] = field(default_factory=dict)  # of the last column
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # column -> codes' words
    delimiter: str | None = ","  # None: blanks


@dataclass(frozen=True)
class DataSet:
    """One data set; its files are put together like the blocks of a matrix, the target last."""

    name: str
    title: str
    zip: str
    citation: str
    files: tuple[tuple[File, ...], ...]
    class_names: Mapping[int, str]
    categorical_columns: tuple[str, ...] = ()
    note: str = ""

    def archive(self) -> Archive:
        """Tell where the files are from, and where they go."""
        files = tuple(file.name for row in self.files for file in row)
        # UCI may pack its archives anew: the hash to check is that of the values.
        return Archive(self.title, f"{UCI}/{self.zip}", f"uci/{self.name}", files)


def _names(text: str) -> tuple[str, ...]:
    """Split a line of names."""
    return tuple(text.split())


def _one_file(**facts: Any) -> tuple[tuple[File, ...], ...]:
    """Describe a data set that is one file."""
    return ((File(**facts),),)


ABALONE = DataSet(
    name="abalone",
    title="Abalone",
    zip="1/abalone.zip",
    citation="Nash, Sellers, Talbot, Cawthorn, Ford (1994), https://doi.org/10.24432/C55C7W",
    files=_one_file(
        name="abalone.data",
        n_rows=4177,
        columns=_names(
            "sex length diameter height whole_weight shucked_weight viscera_weight "
            "shell_weight rings"
        ),
        sha256="9a244ea5d8a2283612a63ac1bd269b2d175f181130e4c4a3d06c4f0e37afa041",
        class_counts={
            **{1: 1, 2: 1, 3: 15, 4: 57, 5: 115, 6: 259, 7: 391, 8: 568, 9: 689, 10: 634},
            **{11: 487, 12: 267, 13: 203, 14: 126, 15: 103, 16: 67, 17: 58, 18: 42, 19: 32},
            **{20: 26, 21: 14, 22: 6, 23: 9, 24: 2, 25: 1, 26: 1, 27: 2, 29: 1},
        },
        words={"sex": ("F", "I", "M")},
    ),
    class_names={rings: str(rings) for rings in (*range(1, 28), 29)},
    categorical_columns=("sex",),
    note="The class is the number of rings; 28 does not occur. Two rows have height 0.",
)

_ARCENE_COLUMNS = tuple(f"x{i}" for i in range(10_000))
_ARCENE_SHA256 = {  # of each part, the values' and the labels'
    "train": (
        "4fac809d28bd91101cd5cfcc95a2a6ef84ece3bb04960c9b138f9422a923f375",
        "3f95d1817d390d99be342d71b9ab1269154d22e57b3a2dd0e25a3d68846a6df5",
    ),
    "valid": (
        "4a184c72d5b99ab9dac72a5b2c56372de5ebb48215f32cbcc316c77a81878e2c",
        "9c8023a086d4583321d00e4ca6e92328fdbe5c03d1f0d24a2e57bb473db306a3",
    ),
}

ARCENE = DataSet(
    name="arcene",
    title="Arcene",
    zip="167/arcene.zip",
    citation="Guyon, Gunn, Ben-Hur, Dror (2004), https://doi.org/10.24432/C58P55",
    files=tuple(
        (
            File(f"arcene_{part}.data", 100, _ARCENE_COLUMNS, values_sha256, delimiter=None),
            File(f"arcene_{part}.labels", 100, ("label",), labels_sha256, {-1: 56, 1: 44}),
        )
        for part, (values_sha256, labels_sha256) in _ARCENE_SHA256.items()
    ),
    class_names={-1: "normal", 1: "cancer"},
    note="UCI's training part (rows 0-99), then its validation part; the test part has no labels.",
)

_LEADS = _names("DI DII DIII AVR AVL AVF V1 V2 V3 V4 V5 V6")
_LEAD_SHAPES = tuple(f"{kind}_{wave}" for wave in "RPT" for kind in ("ragged", "diphasic"))
_LEAD_WIDTHS = _names("Q_width R_width S_width R'_width S'_width n_deflections")
_LEAD_AMPLITUDES = _names("JJ Q R S R' S' P T QRSA QRSTA")

ARRHYTHMIA = DataSet(
    name="arrhythmia",
    title="Arrhythmia",
    zip="5/arrhythmia.zip",
    citation="Guvenir, Acar, Muderrisoglu, Quinlan (1997), https://doi.org/10.24432/C5BS32",
    files=_one_file(
        name="arrhythmia.data",
        n_rows=452,
        columns=(
            *_names(
                "age sex height weight QRS_duration PR_interval QT_interval T_interval "
                "P_interval QRS_angle T_angle P_angle QRST_angle J_angle heart_rate"
            ),
            *(f"{lead}_{x}" for lead in _LEADS for x in (*_LEAD_WIDTHS, *_LEAD_SHAPES)),
            *(f"{lead}_{x}_amplitude" for lead in _LEADS for x in _LEAD_AMPLITUDES),
            "class",
        ),
        sha256="41bada3c478b97414230442e9cf35d4f00bdbe72a8b5948eba6892a1e80ad835",
        class_counts={
            **{1: 245, 2: 44, 3: 15, 4: 15, 5: 13, 6: 25, 7: 3, 8: 2, 9: 9, 10: 50},
            **{14: 4, 15: 5, 16: 22},
        },
    ),
    class_names={
        1: "Normal",
        2: "Ischemic changes (coronary artery disease)",
        3: "Old anterior myocardial infarction",
        4: "Old inferior myocardial infarction",
        5: "Sinus tachycardia",
        6: "Sinus bradycardia",
        7: "Ventricular premature contraction",
        8: "Supraventricular premature contraction",
        9: "Left bundle branch block",
        10: "Right bundle branch block",
        14: "Left ventricular hypertrophy",
        15: "Atrial fibrillation or flutter",
        16: "Others",
    },
    categorical_columns=("sex", *(f"{lead}_{shape}" for lead in _LEADS for shape in _LEAD_SHAPES)),
    note="408 values are missing (NaN), 376 of them in J_angle. Classes 11-13 do not occur.",
)

HTRU2 = DataSet(
    name="htru2",
    title="HTRU2",
    zip="372/htru2.zip",
    citation="Lyon, Stappers, Cooper, Brooke, Knowles (2016), https://doi.org/10.24432/C5DK6R",
    files=_one_file(
        name="HTRU_2.csv",
        n_rows=17898,
        # As in UCI's ARFF file. Its Readme has kurtosis before skewness, which cannot be:
        # excess kurtosis >= skewness**2 - 2 holds for any distribution, and in all rows
        # this way round, but the other way round in only 7 % of the DM-SNR curves.
        columns=_names(
            "profile_mean profile_std profile_skewness profile_kurtosis "
            "dm_snr_mean dm_snr_std dm_snr_skewness dm_snr_kurtosis class"
        ),
        sha256="bff7e0d962f5762938f833075d6bbfd3ce229cdcfb30091b4ecaa7dca4a81a74",
        class_counts={0: 16259, 1: 1639},
    ),
    class_names={0: "noise", 1: "pulsar"},
)

IRIS = DataSet(
    name="iris",
    title="Iris",
    zip="53/iris.zip",
    citation="Fisher (1936), https://doi.org/10.24432/C56C76",
    files=_one_file(
        name="iris.data",
        n_rows=150,
        columns=_names("sepal_length sepal_width petal_length petal_width class"),
        sha256="c72f9a491f9a4961f47fafb750ab987c35af8bb337e3d21628812f55b9397933",
        class_counts={0: 50, 1: 50, 2: 50},
        words={"class": ("Iris-setosa", "Iris-versicolor", "Iris-virginica")},
    ),
    class_names={0: "Iris-setosa", 1: "Iris-versicolor", 2: "Iris-virginica"},
)

_WEBSITE_PHISHING_FEATURES = _names(
    "SFH popUpWidnow SSLfinal_State Request_URL URL_of_Anchor web_traffic URL_Length "
    "age_of_domain having_IP_Address"
)

WEBSITE_PHISHING = DataSet(
    name="website_phishing",
    title="Website Phishing",
    zip="379/website+phishing.zip",
    citation="Abdelhamid, Ayesh, Thabtah (2014), https://doi.org/10.24432/C5B301",
    files=_one_file(
        name="PhishingData.arff",
        n_rows=1353,
        columns=(*_WEBSITE_PHISHING_FEATURES, "Result"),
        sha256="8adc4e95b182583cb505b0322596a209f8efcc919afff49c71734093e19838b4",
        class_counts={-1: 702, 0: 103, 1: 548},
    ),
    class_names={-1: "phishing", 0: "suspicious", 1: "legitimate"},
    categorical_columns=_WEBSITE_PHISHING_FEATURES,
    note="629 rows repeat an earlier one, so a random split puts equal rows on both sides.",
)

_PHISHING_WEBSITES_FEATURES = _names(
    "having_IP_Address URL_Length Shortining_Service having_At_Symbol double_slash_redirecting "
    "Prefix_Suffix having_Sub_Domain SSLfinal_State Domain_registeration_length Favicon port "
    "HTTPS_token Request_URL URL_of_Anchor Links_in_tags SFH Submitting_to_email Abnormal_URL "
    "Redirect on_mouseover RightClick popUpWidnow Iframe age_of_domain DNSRecord web_traffic "
    "Page_Rank Google_Index Links_pointing_to_page Statistical_report"
)

PHISHING_WEBSITES = DataSet(
    name="phishing_websites",
    title="Phishing Websites",
    zip="327/phishing+websites.zip",
    citation="Mohammad, McCluskey, Thabtah (2012), https://doi.org/10.24432/C51W2X",
    files=_one_file(
        name="Training Dataset.arff",
        n_rows=11055,
        columns=(*_PHISHING_WEBSITES_FEATURES, "Result"),
        sha256="063f4f87bd0f3724375b22c1f576c497e4e79ce4d55b90e09e7e1ca9c323618e",
        class_counts={-1: 4898, 1: 6157},
    ),
    class_names={-1: "phishing", 1: "legitimate"},
    categorical_columns=_PHISHING_WEBSITES_FEATURES,
    note="5206 rows repeat an earlier one, so a random split puts equal rows on both sides.",
)

DATA_SETS = (ABALONE, ARCENE, ARRHYTHMIA, HTRU2, IRIS, WEBSITE_PHISHING, PHISHING_WEBSITES)
