"""The UCI tables of the mixup paper, as published: files, columns, classes, checksums, sources."""

from benchmarks._data.published import BLANKS, Facts, File, one_file

ABALONE = Facts(
    name="abalone",
    title="Abalone",
    url="1/abalone.zip",
    files=one_file(
        "abalone.data",
        "eb2de13be807e9bb9ec4128b9c89b98ab23d7739121cfd17b7dde69b46ba7bf6",
        "sex length diameter height whole_weight shucked_weight viscera_weight shell_weight rings",
    ),
    folder="uci",
    target="rings",
    class_names={rings: str(rings) for rings in (*range(1, 28), 29)},
    citation="Nash, Sellers, Talbot, Cawthorn, Ford (1994), https://doi.org/10.24432/C55C7W",
    nominal="sex",
    note="The class is the number of rings; 28 does not occur. Two rows have height 0.",
)

_ARCENE_COLUMNS = " ".join(f"x{i}" for i in range(10_000))
_ARCENE_SHA256 = {  # of each part, the values' and the labels'
    "train": (
        "0d2bb8d545c139c33b1496c28e148e276b5973069c7b8b531087d09f66d8dcba",
        "41195b75a2972fa13eca4f4b2eaeaa3a4a8bbb5d15f91839d9a73f8871a38a67",
    ),
    "valid": (
        "b10c67fcf7a73155fc4c9997a75aa085bb2e5d389d3eeea04e2d4621ba8822a7",
        "81d2808d24f0a59257f3309847cb9577612b8e7c06c6beeebfa5fea5457ac5e2",
    ),
}

ARCENE = Facts(
    name="arcene",
    title="Arcene",
    url="167/arcene.zip",
    files=tuple(
        (
            File(f"arcene_{part}.data", values_sha256, _ARCENE_COLUMNS, BLANKS),
            File(f"arcene_{part}.labels", labels_sha256, "label"),
        )
        for part, (values_sha256, labels_sha256) in _ARCENE_SHA256.items()
    ),
    folder="uci",
    target="label",
    class_names={-1: "normal", 1: "cancer"},
    citation="Guyon, Gunn, Ben-Hur, Dror (2004), https://doi.org/10.24432/C58P55",
    note="UCI's training part (rows 0-99), then its validation part; the test part has no labels.",
)

_LEADS = ["DI", "DII", "DIII", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"]
_LEAD_WIDTHS = ["Q_width", "R_width", "S_width", "R'_width", "S'_width", "n_deflections"]
_LEAD_SHAPES = [f"{kind}_{wave}" for wave in "RPT" for kind in ("ragged", "diphasic")]
_LEAD_AMPLITUDES = ["JJ", "Q", "R", "S", "R'", "S'", "P", "T", "QRSA", "QRSTA"]

ARRHYTHMIA = Facts(
    name="arrhythmia",
    title="Arrhythmia",
    url="5/arrhythmia.zip",
    files=one_file(
        "arrhythmia.data",
        "88a322de582e716202b975026c63764a451f4ade4502af8bacdb3872f56ee2f2",
        " ".join(
            [
                "age sex height weight QRS_duration PR_interval QT_interval T_interval P_interval",
                "QRS_angle T_angle P_angle QRST_angle J_angle heart_rate",
                *(f"{lead}_{x}" for lead in _LEADS for x in (*_LEAD_WIDTHS, *_LEAD_SHAPES)),
                *(f"{lead}_{x}_amplitude" for lead in _LEADS for x in _LEAD_AMPLITUDES),
                "class",
            ]
        ),
    ),
    folder="uci",
    target="class",
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
    citation="Guvenir, Acar, Muderrisoglu, Quinlan (1997), https://doi.org/10.24432/C5BS32",
    nominal=" ".join(["sex", *(f"{lead}_{shape}" for lead in _LEADS for shape in _LEAD_SHAPES)]),
    note="408 values are missing (NaN), 376 of them in J_angle. Classes 11-13 do not occur.",
)

HTRU2 = Facts(
    name="htru2",
    title="HTRU2",
    url="372/htru2.zip",
    # As in UCI's ARFF file. Its Readme has kurtosis before skewness, which cannot be:
    # excess kurtosis >= skewness**2 - 2 holds for any distribution, and in all rows
    # this way round, but the other way round in only 7 % of the DM-SNR curves.
    files=one_file(
        "HTRU_2.csv",
        "770932f2a324cb5f0b5ef2a33854fa8e4f47b9cd784b9f7fe60903fa63c8c294",
        (
            "profile_mean profile_std profile_skewness profile_kurtosis "
            "dm_snr_mean dm_snr_std dm_snr_skewness dm_snr_kurtosis class"
        ),
    ),
    folder="uci",
    target="class",
    class_names={0: "noise", 1: "pulsar"},
    citation="Lyon, Stappers, Cooper, Brooke, Knowles (2016), https://doi.org/10.24432/C5DK6R",
)

IRIS = Facts(
    name="iris",
    title="Iris",
    url="53/iris.zip",
    files=one_file(
        "iris.data",
        "f5d0c11e5c78a69a20dbb80baf2b24703f59a6687595752abb397d23732647c5",
        "sepal_length sepal_width petal_length petal_width class",
    ),
    folder="uci",
    target="class",
    class_names={name: name for name in ("Iris-setosa", "Iris-versicolor", "Iris-virginica")},
    citation="Fisher (1936), https://doi.org/10.24432/C56C76",
)

_WEBSITE_PHISHING_FEATURES = (
    "SFH popUpWidnow SSLfinal_State Request_URL URL_of_Anchor web_traffic URL_Length "
    "age_of_domain having_IP_Address"
)

WEBSITE_PHISHING = Facts(
    name="website_phishing",
    title="Website Phishing",
    url="379/website+phishing.zip",
    files=one_file(
        "PhishingData.arff",
        "1887adc0e9eb47367d23fede616132565cf6aaa4a1e41d5253425dc93c9147f1",
        f"{_WEBSITE_PHISHING_FEATURES} Result",
    ),
    folder="uci",
    target="Result",
    class_names={-1: "phishing", 0: "suspicious", 1: "legitimate"},
    citation="Abdelhamid, Ayesh, Thabtah (2014), https://doi.org/10.24432/C5B301",
    nominal=_WEBSITE_PHISHING_FEATURES,
    note="629 rows repeat an earlier one, so a random split puts equal rows on both sides.",
)

_PHISHING_WEBSITES_FEATURES = (
    "having_IP_Address URL_Length Shortining_Service having_At_Symbol double_slash_redirecting "
    "Prefix_Suffix having_Sub_Domain SSLfinal_State Domain_registeration_length Favicon port "
    "HTTPS_token Request_URL URL_of_Anchor Links_in_tags SFH Submitting_to_email Abnormal_URL "
    "Redirect on_mouseover RightClick popUpWidnow Iframe age_of_domain DNSRecord web_traffic "
    "Page_Rank Google_Index Links_pointing_to_page Statistical_report"
)

PHISHING_WEBSITES = Facts(
    name="phishing_websites",
    title="Phishing Websites",
    url="327/phishing+websites.zip",
    files=one_file(
        "Training Dataset.arff",
        "de14698e3299e300d6fd3bc98868efd9ada63e898d0e8d8c2c307542bd40f86f",
        f"{_PHISHING_WEBSITES_FEATURES} Result",
    ),
    folder="uci",
    target="Result",
    class_names={-1: "phishing", 1: "legitimate"},
    citation="Mohammad, McCluskey, Thabtah (2012), https://doi.org/10.24432/C51W2X",
    nominal=_PHISHING_WEBSITES_FEATURES,
    note="5206 rows repeat an earlier one, so a random split puts equal rows on both sides.",
)

DATA_SETS = (ABALONE, ARCENE, ARRHYTHMIA, HTRU2, IRIS, WEBSITE_PHISHING, PHISHING_WEBSITES)
