"""The tables of `benchmarks._data.numeric`, as published: files, columns, targets, sources."""

from dataclasses import replace

from benchmarks._data import uci_files
from benchmarks._data.published import Facts, one_file

CALIFORNIA_HOUSING = Facts(
    name="california_housing",
    title="California",
    url="https://www.dcc.fc.up.pt/~ltorgo/Regression/cal_housing.tgz",
    files=one_file(
        "cal_housing.data",
        "23a7eecd83e5d57857691849577cdf9318097411a88e59c3c6e1fd79f62ba266",
        (
            "longitude latitude housing_median_age total_rooms total_bedrooms population "
            "households median_income median_house_value"
        ),
    ),
    target="median_house_value",
    number="The median value of the houses of a block, in dollars",
    citation="Pace, Barry (1997), Sparse Spatial Autoregressions",
    publisher="StatLib",
    # The archive that scikit-learn's fetch_california_housing downloads from its own place.
    known_hash="sha256:aaa5c9a6afe2225cc2aed2723682ae403280c4a3695a2ddda4ffb5d8215ea681",
    note="A row for each block of the census of 1990. Values above 500,000 dollars are 500,001.",
)

WINE_QUALITY_WHITE = Facts(
    name="wine_quality_white",
    title="White Wine",
    url="https://raw.githubusercontent.com/jbrownlee/Datasets/master/winequality-white.csv",
    files=one_file(
        "winequality-white.csv",
        "659d419fff887f225bf977d20520bb64a64cae203e460087f809721d4430ba27",
        (
            "fixed_acidity volatile_acidity citric_acid residual_sugar chlorides "
            "free_sulfur_dioxide total_sulfur_dioxide density pH sulphates alcohol quality"
        ),
    ),
    target="quality",
    number="The quality, the median of three grades from 0 to 10",
    citation=(
        "Wine Quality; Cortez, Cerdeira, Almeida, Matos, Reis (2009), "
        "https://doi.org/10.24432/C56S3T"
    ),
    known_hash="sha256:659d419fff887f225bf977d20520bb64a64cae203e460087f809721d4430ba27",
    note=(
        "A copy of UCI's winequality-white.csv with commas, without its header. 937 rows repeat an "
        "earlier one, so a random split has equal rows on both sides."
    ),
)

ABALONE_RINGS = replace(
    uci_files.ABALONE,
    title="Abalone, rings",
    class_names={},
    number="The number of rings",
    note="Two rows have height 0.",
)

DATA_SETS = {
    "california_housing": CALIFORNIA_HOUSING,
    "wine_quality_white": WINE_QUALITY_WHITE,
    "abalone_rings": ABALONE_RINGS,
}
