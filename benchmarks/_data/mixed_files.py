"""The tables of `benchmarks._data.mixed`, as published: files, columns, classes, sources."""

from benchmarks._data.published import BLANKS, Facts, one_file

ADULT = Facts(
    name="adult",
    title="Adult",
    url="2/adult.zip",
    files=one_file(
        "adult.data",
        "ea895aae047aa83ca757e3024a029be8b11806c656ad2c5b1efd8cec28af19ad",
        (
            "age workclass fnlwgt education education_num marital_status occupation relationship "
            "race sex capital_gain capital_loss hours_per_week native_country income"
        ),
    ),
    target="income",
    class_names={"<=50K": "at most 50,000 dollars a year", ">50K": "more"},
    citation="Becker, Kohavi (1996), https://doi.org/10.24432/C5XW20",
    nominal="workclass education marital_status occupation relationship race sex native_country",
    note="The training part. 4262 values are missing: workclass, occupation, native_country.",
)

GERMAN_CREDIT = Facts(
    name="german_credit",
    title="German Credit",
    url="144/statlog+german+credit+data.zip",
    files=one_file(
        "german.data",
        "ac9ec88c978af873d82ec6aaa26b4cc2e61387722645c57a28880ad28b6fd355",
        (
            "checking_account duration credit_history purpose credit_amount savings employed_since "
            "installment_rate status_and_sex other_debtors residence_since property age "
            "other_installments housing n_credits job n_liable telephone foreign_worker risk"
        ),
        BLANKS,
    ),
    target="risk",
    class_names={1: "good", 2: "bad"},
    citation="Hofmann (1994), https://doi.org/10.24432/C5NC77",
    nominal=(
        "checking_account credit_history purpose savings employed_since status_and_sex "
        "other_debtors property other_installments housing job telephone foreign_worker"
    ),
)

CREDIT_APPROVAL = Facts(
    name="credit_approval",
    title="Credit Approval",
    url="27/credit+approval.zip",
    files=one_file(
        "crx.data",
        "6f31a44ceea8bb98af5059310d4bb517c5206212754ffcbcbe74570f86bbfa77",
        " ".join(f"A{i}" for i in range(1, 17)),
    ),
    target="A16",
    class_names={"+": "approved", "-": "refused"},
    citation="Quinlan (1987), https://doi.org/10.24432/C5FS30",
    nominal="A1 A4 A5 A6 A7 A9 A10 A12 A13",
    note="67 values are missing. Names and words were made meaningless by the publisher.",
)

HORSE_COLIC = Facts(
    name="horse_colic",
    title="Horse Colic",
    url="47/horse+colic.zip",
    files=one_file(
        "horse-colic.data",
        "ba3a74dbba7a4025dc6278fcb8eb8f92b23811f0da5cf951847ada1a40e360e3",
        (
            "surgery age hospital_number rectal_temperature pulse respiratory_rate extremities "
            "peripheral_pulse mucous_membranes capillary_refill pain peristalsis distension "
            "nasogastric_tube nasogastric_reflux reflux_ph rectal_examination abdomen "
            "packed_cell_volume total_protein abdominocentesis abdominocentesis_protein outcome "
            "surgical_lesion lesion_1 lesion_2 lesion_3 pathology"
        ),
        BLANKS,
    ),
    target="outcome",
    class_names={1: "lived", 2: "died", 3: "was euthanised"},
    citation="McLeish, Cecile (1989), https://doi.org/10.24432/C58W23",
    nominal=(
        "surgery age extremities peripheral_pulse mucous_membranes capillary_refill pain "
        "peristalsis distension nasogastric_tube nasogastric_reflux rectal_examination abdomen "
        "abdominocentesis"
    ),
    left_out="hospital_number surgical_lesion lesion_1 lesion_2 lesion_3 pathology",
    note=(
        "The training part, without its row that has no outcome, the number of the hospital, and "
        "what is known only after the outcome (lesions, pathology)."
    ),
)

CMC = Facts(
    name="cmc",
    title="Contraceptive Choice",
    url="30/contraceptive+method+choice.zip",
    files=one_file(
        "cmc.data",
        "bcea7e5e7436379a37f1ccf076c9cf672cc1a9e3e09efb90bfb6d6ef1cba734c",
        (
            "wife_age wife_education husband_education n_children wife_religion wife_works "
            "husband_occupation living_standard media_exposure method"
        ),
    ),
    target="method",
    class_names={1: "none", 2: "long-term", 3: "short-term"},
    citation="Lim (1997), https://doi.org/10.24432/C59W2D",
    nominal="wife_religion wife_works husband_occupation media_exposure",
)

DERMATOLOGY = Facts(
    name="dermatology",
    title="Dermatology",
    url="33/dermatology.zip",
    files=one_file(
        "dermatology.data",
        "13588311ab8914bbdfa24e7ed85bd7c67cdbb7d3344fe01a1e99fed8bdd6ed56",
        (
            "erythema scaling definite_borders itching koebner_phenomenon polygonal_papules "
            "follicular_papules oral_mucosal_involvement knee_and_elbow_involvement "
            "scalp_involvement family_history melanin_incontinence eosinophils_in_infiltrate "
            "pnl_infiltrate fibrosis_of_papillary_dermis exocytosis acanthosis hyperkeratosis "
            "parakeratosis clubbing_of_rete_ridges elongation_of_rete_ridges "
            "thinning_of_suprapapillary_epidermis spongiform_pustule munro_microabcess "
            "focal_hypergranulosis no_granular_layer vacuolisation_of_basal_layer spongiosis "
            "saw_tooth_retes follicular_horn_plug perifollicular_parakeratosis "
            "inflammatory_mononuclear_infiltrate band_like_infiltrate age class"
        ),
    ),
    target="class",
    class_names={
        1: "psoriasis",
        2: "seboreic dermatitis",
        3: "lichen planus",
        4: "pityriasis rosea",
        5: "chronic dermatitis",
        6: "pityriasis rubra pilaris",
    },
    citation="Ilter, Guvenir (1998), https://doi.org/10.24432/C5FK5P",
    note="Grades 0 to 3, but for family_history (0, 1) and age, of which 8 are missing.",
)

SEGMENT = Facts(
    name="segment",
    title="Image Segmentation",
    url="147/statlog+image+segmentation.zip",
    files=one_file(
        "segment.dat",
        "0fd4e64ed1e86f6c846ddeebe1b3eb597dd8cb9775c9489d22b2b689f3ba8b60",
        (
            "centroid_column centroid_row n_pixels short_line_density_5 short_line_density_2 "
            "vertical_edge_mean vertical_edge_sd horizontal_edge_mean horizontal_edge_sd "
            "intensity_mean red_mean blue_mean green_mean excess_red_mean excess_blue_mean "
            "excess_green_mean value_mean saturation_mean hue_mean class"
        ),
        BLANKS,
    ),
    target="class",
    class_names={
        1: "brickface",
        2: "sky",
        3: "foliage",
        4: "cement",
        5: "window",
        6: "path",
        7: "grass",
    },
    citation="Statlog project (1990), https://doi.org/10.24432/C5P01G",
    note="Of n_pixels all values are 9.",
)

MAGIC = Facts(
    name="magic",
    title="MAGIC Telescope",
    url="159/magic+gamma+telescope.zip",
    files=one_file(
        "magic04.data",
        "042bcf99730d7e53b60e998fe2f2474b08dcb049672113bf2d79f06d1bfd846c",
        "length width size conc conc1 asym m3_long m3_trans alpha dist class",
    ),
    target="class",
    class_names={"g": "gamma", "h": "hadron"},
    citation="Bock (2004), https://doi.org/10.24432/C52C8B",
)

GLASS = Facts(
    name="glass",
    title="Glass",
    url="42/glass+identification.zip",
    files=one_file(
        "glass.data",
        "fcf4f11cc5671e2d6f69b31782b9a162086927d9c49d97312f1be3712c33b79d",
        "refractive_index Na Mg Al Si K Ca Ba Fe type",
    ),
    target="type",
    class_names={
        1: "building windows, float",
        2: "building windows, non-float",
        3: "vehicle windows, float",
        5: "containers",
        6: "tableware",
        7: "headlamps",
    },
    citation="German (1987), https://doi.org/10.24432/C5WW2P",
    note="Class 4 does not occur.",
)

PHONEME = Facts(
    name="phoneme",
    title="Phoneme",
    url="https://raw.githubusercontent.com/jbrownlee/Datasets/master/phoneme.csv",
    files=one_file(
        "phoneme.csv",
        "eacbb9f7a2b2135d067bff28ed7b9adb760f61f5e91f375f91e22e7e42ace24d",
        "harmonic_1 harmonic_2 harmonic_3 harmonic_4 harmonic_5 class",
    ),
    target="class",
    class_names={0: "nasal", 1: "oral"},
    citation="Alinat (1993)",
    publisher="ELENA project, databases REAL/phoneme",
    known_hash="sha256:eacbb9f7a2b2135d067bff28ed7b9adb760f61f5e91f375f91e22e7e42ace24d",
)

DATA_SETS = (
    *(ADULT, GERMAN_CREDIT, CREDIT_APPROVAL, HORSE_COLIC, CMC, DERMATOLOGY),
    *(SEGMENT, MAGIC, GLASS, PHONEME),
)
