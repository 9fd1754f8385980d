"""Speech Commands: whose clip is where, and wav files of every kind, good and bad."""

import io
import sys
import tarfile
import wave
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from scipy.io import wavfile

from benchmarks._data import speech as sets
from benchmarks._data.speech import fetch_speech_commands
from tests.real_data import find_or_skip

RATE = 16_000

# By Google's own lists: shared/data/README.md.
KNOWN = {
    "8d4cdc60_nohash_1.wav": "training",
    "37e8db82_nohash_1.wav": "training",
    "439c84f4_nohash_1.wav": "validation",
    "563aa4e6_nohash_2.wav": "testing",
    "97f4c236_nohash_2.wav": "testing",
}


@pytest.fixture(scope="module")
def home():
    """Give the data home, or skip."""
    return find_or_skip("speech").parent


def write_wav(path, samples, *, width=2, n_channels=1, rate=RATE):
    """Write bytes of samples with Python's own module, which is not what reads them."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(n_channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples)


def tone(frequency=440.0, *, rate=RATE, seconds=1.0, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)


def to_int16(amplitudes):
    return np.rint(32768 * amplitudes).astype("<i2")


# -- whose clip is where --------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "part"), KNOWN.items())
def test_part_of_a_clip_is_googles(name, part):
    assert sets.which_set(name) == part
    assert sets.which_set(name.replace("nohash_", "nohash_1")) == part  # the speaker's other clips


def test_a_tenth_of_the_speakers_is_in_each_held_out_part():
    rng = np.random.default_rng(0)
    names = [f"{number:08x}_nohash_0.wav" for number in rng.integers(2**32, size=5000)]
    parts = [sets.which_set(name) for name in names]
    for part, share in (("validation", 0.1), ("testing", 0.1), ("training", 0.8)):
        assert abs(parts.count(part) / 5000 - share) < 5 * (share * (1 - share) / 5000) ** 0.5


def test_original_files_are_read_as_they_are(home):
    speech = sets.read_speech_folder(home / "speech" / "wav")
    assert speech.target_names == ["down", "go", "no", "up", "yes"]
    assert speech.waveforms.shape == (10, RATE)
    assert sorted(speech.n_samples)[:5] == [12288, 13375, 13654, 14118, RATE]
    for row, file in enumerate(speech.files):
        word, name = file.split("/")
        assert speech.target_names[speech.target[row]] == word
        assert speech.split[row] == KNOWN[name]
        assert name.startswith(speech.speakers[row] + "_nohash")
        with wave.open(str(home / "speech" / "wav" / file)) as raw:
            samples = np.frombuffer(raw.readframes(raw.getnframes()), "<i2")
        assert np.array_equal(speech.waveforms[row, : len(samples)], samples)
        assert not speech.waveforms[row, len(samples) :].any()
    assert (speech.name, speech.is_subset) == ("10 clips of 5 words", False)


def test_subset_is_as_its_readme_says(home):
    speech = fetch_speech_commands(home, download_if_missing=False, subset=True)
    assert (speech.waveforms.shape, speech.waveforms.dtype) == ((1000, RATE), np.int16)
    assert np.bincount(speech.target).tolist() == [100] * 10
    parts = {part: speech.split == part for part in ("training", "testing")}
    assert [int(rows.sum()) for rows in parts.values()] == [704, 296]
    training, testing = (set(speech.speakers[rows]) for rows in parts.values())
    assert (len(training), len(testing), len(training & testing)) == (111, 48, 0)
    # All are from the test part of v0.02, which Google made by the same hash.
    assert {sets.which_set(file.split("/")[1]) for file in speech.files} == {"testing"}
    assert speech.is_subset
    assert speech.name.startswith("Speech Commands subset")


# -- a folder -------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """Make a small folder: short, whole and long clips, noise, and files that are no clips."""
    for word, name, n_samples in (
        ("yes", "439c84f4_nohash_0.wav", RATE),
        ("yes", "563aa4e6_nohash_0.WAV", RATE + 500),
        ("no", "8d4cdc60_nohash_0.wav", 700),
        ("_background_noise_", "pink_noise.wav", 9 * RATE),
        ("no", "._8d4cdc60_nohash_0.wav", 5),
    ):
        (tmp_path / word).mkdir(exist_ok=True)
        samples = np.arange(1, n_samples + 1).astype("<i2")
        write_wav(tmp_path / word / name, samples.tobytes())
    (tmp_path / "no" / "notes.txt").write_text("not a clip")
    (tmp_path / "testing_list.txt").write_text("yes/563aa4e6_nohash_0.WAV")
    return tmp_path


def test_short_clips_are_padded_and_long_ones_keep_their_first_second(folder):
    speech = sets.read_speech_folder(folder)
    assert speech.files == [
        "no/8d4cdc60_nohash_0.wav",
        "yes/439c84f4_nohash_0.wav",
        "yes/563aa4e6_nohash_0.WAV",
    ]
    assert speech.target.tolist() == [0, 1, 1]
    assert speech.split.tolist() == ["training", "validation", "testing"]
    assert speech.n_samples.tolist() == [700, RATE, RATE + 500]
    short, whole, long = speech.waveforms
    assert short[:700].tolist() == list(range(1, 701))
    assert not short[700:].any()
    assert np.array_equal(whole, np.arange(1, RATE + 1))
    assert np.array_equal(long, whole)


def test_a_bad_clip_in_a_folder_is_named(folder):
    bad = folder / "yes" / "97f4c236_nohash_0.wav"
    bad.write_bytes(b"")
    with pytest.raises(ValueError, match=r"97f4c236_nohash_0\.wav' must be a whole wav file"):
        sets.read_speech_folder(folder)


@pytest.mark.parametrize("made", [True, False])
def test_a_folder_without_clips_is_told(tmp_path, made):
    place = tmp_path / "speech"
    if made:
        (place / "_background_noise_").mkdir(parents=True)
        write_wav(place / "_background_noise_" / "a.wav", bytes(200))
    with pytest.raises(FileNotFoundError, match=r"must have clips as WORD.*found none"):
        sets.read_speech_folder(place)


# -- wav files of every kind ----------------------------------------------------------------------


def test_file_of_16_bit_samples_is_returned_to_the_bit(tmp_path):
    samples = np.arange(-32768, 32768).astype("<i2")
    write_wav(tmp_path / "all.wav", samples.tobytes())
    read = sets.read_clip(tmp_path / "all.wav")
    assert read.dtype == np.int16
    assert np.array_equal(read, samples)


def to_bytes(amplitudes, width):
    """Write amplitudes as whole numbers of so many bytes, as a wav file has them."""
    numbers = np.rint(amplitudes * 2.0 ** (8 * width - 1)).astype(np.int64)
    numbers += 128 if width == 1 else 0
    return b"".join(int(n).to_bytes(width, "little", signed=width > 1) for n in numbers)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_widths_of_samples_make_the_same_clip(tmp_path, width):
    amplitudes = tone(seconds=0.1)
    write_wav(tmp_path / "a.wav", to_bytes(amplitudes, width), width=width)
    difference = sets.read_clip(tmp_path / "a.wav") - 32768 * amplitudes
    step = max(1.0, 2.0 ** (16 - 8 * width))  # of the coarser of the two
    assert abs(difference).max() <= 0.5 * step + 0.5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_amplitudes_and_beyond_one_they_are_clipped(tmp_path, dtype):
    wavfile.write(tmp_path / "a.wav", RATE, np.array([0.5, -0.25, -1, 1, 7, -7], dtype=dtype))
    read = sets.read_clip(tmp_path / "a.wav")
    assert read.tolist() == [16384, -8192, -32768, 32767, 32767, -32768]


def test_channels_are_averaged(tmp_path):
    left, right = to_int16(tone(440)), to_int16(tone(1000))
    write_wav(tmp_path / "a.wav", np.column_stack([left, right]).tobytes(), n_channels=2)
    expected = (left.astype(int) + right) / 2
    assert abs(sets.read_clip(tmp_path / "a.wav") - expected).max() <= 0.5


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_other_rates_are_resampled_to_the_same_tone(tmp_path, rate):
    write_wav(tmp_path / "a.wav", to_int16(tone(rate=rate)).tobytes(), rate=rate)
    read = sets.read_clip(tmp_path / "a.wav")
    assert len(read) == RATE
    middle = slice(RATE // 10, -RATE // 10)  # away from the ends, where the filter sees zeros
    assert abs(read - 32768 * tone())[middle].max() < 0.01 * 16384


def test_resampling_folds_no_high_pitch_into_a_low_one(tmp_path):
    write_wav(tmp_path / "a.wav", to_int16(tone(15_000, rate=48_000)).tobytes(), rate=48_000)
    assert abs(sets.read_clip(tmp_path / "a.wav")[1600:-1600]).max() < 0.01 * 16384


def test_silence_is_a_clip(tmp_path):
    write_wav(tmp_path / "a.wav", bytes(2 * RATE))
    assert not sets.read_clip(tmp_path / "a.wav").any()


def test_chunks_that_are_no_sound_are_passed_over(tmp_path):
    samples = to_int16(tone())
    write_wav(tmp_path / "a.wav", samples.tobytes())
    content = (tmp_path / "a.wav").read_bytes()
    chunk = b"bext" + (6).to_bytes(4, "little") + b"editor"
    size = (len(content) - 8 + len(chunk)).to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(content[:4] + size + content[8:36] + chunk + content[36:])
    assert np.array_equal(sets.read_clip(tmp_path / "a.wav"), samples)


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("width", [1, 2, 3])
def test_a_file_cut_off_anywhere_is_told(tmp_path, width, n_channels):
    write_wav(tmp_path / "a.wav", bytes(60 * width), width=width, n_channels=n_channels)
    content = (tmp_path / "a.wav").read_bytes()
    assert len(sets.read_clip(tmp_path / "a.wav")) == 60 // n_channels
    for length in range(len(content)):
        (tmp_path / "a.wav").write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"a\.wav' must be a whole wav file"):
            sets.read_clip(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "not understood"),
        (b"ID3\x04 this is an mp3 file", "not understood"),
        (b"<html>404 not found</html>", "not understood"),
    ],
)
def test_a_file_that_is_no_wav_is_told(tmp_path, content, told):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.wav' must be a whole wav file.*{told}"):
        sets.read_clip(tmp_path / "a.wav")


def change(path, offset, number, n_bytes):
    """Put a number into the header of a wav file."""
    content = bytearray(path.read_bytes())
    content[offset : offset + n_bytes] = number.to_bytes(n_bytes, "little")
    path.write_bytes(content)


def test_odd_headers_and_numbers_are_told(tmp_path):
    path = tmp_path / "a.wav"
    write_wav(path, b"")
    with pytest.raises(ValueError, match="it holds no samples"):
        sets.read_clip(path)
    write_wav(path, bytes(200))
    change(path, 24, 0, 4)
    change(path, 28, 0, 4)
    with pytest.raises(ValueError, match="its sampling rate is 0 Hz"):
        sets.read_clip(path)
    write_wav(path, bytes(200))
    change(path, 20, 0x11, 2)  # IMA ADPCM
    with pytest.raises(ValueError, match=r"a\.wav' must be a whole wav file, not compressed"):
        sets.read_clip(path)
    for number in (np.nan, np.inf):
        wavfile.write(path, RATE, np.array([0.0, number], dtype=np.float32))
        with pytest.raises(ValueError, match="numbers that are not finite"):
            sets.read_clip(path)
    with pytest.raises(FileNotFoundError, match="elsewhere"):
        sets.read_clip(tmp_path / "elsewhere.wav")


# -- fetching -------------------------------------------------------------------------------------


@pytest.fixture
def served(serve, monkeypatch, tmp_path, folder):
    """Serve an archive of the small folder in place of Google's; give an empty data home."""
    site = tmp_path / "site"
    site.mkdir()
    with tarfile.open(site / "speech.tar.gz", "w:gz") as tar:
        for word in ("yes", "no", "_background_noise_"):
            tar.add(folder / word, f"./{word}")
    archive = replace(
        sets._ARCHIVE,
        url=f"{serve(site)}/speech.tar.gz",
        known_hash=f"sha256:{sha256((site / 'speech.tar.gz').read_bytes()).hexdigest()}",
    )
    monkeypatch.setattr(sets, "_ARCHIVE", archive)
    return tmp_path / "home"


def test_archive_is_downloaded_once_and_put_in_its_place(served, folder, monkeypatch):
    speech = fetch_speech_commands(served)
    assert np.array_equal(speech.waveforms, sets.read_speech_folder(folder).waveforms)
    assert [path.name for path in (served / "speech").iterdir()] == ["speech_commands_v0.01"]
    gone = replace(sets._ARCHIVE, url="http://127.0.0.1:1/gone")
    monkeypatch.setattr(sets, "_ARCHIVE", gone)
    assert fetch_speech_commands(served).files == speech.files


def test_archive_with_another_checksum_is_refused(served, monkeypatch):
    other = replace(sets._ARCHIVE, known_hash="sha256:" + 64 * "0")
    monkeypatch.setattr(sets, "_ARCHIVE", other)
    with pytest.raises(OSError, match=r"the download failed .*hash"):
        fetch_speech_commands(served)
    assert list((served / "speech").iterdir()) == []


def test_missing_data_say_what_goes_where(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"speech_commands_v0.01': not found") as raised:
        fetch_speech_commands(tmp_path, download_if_missing=False)
    for word in ("Unpack http", "SKLEARN_MIXUP_DATA", "speech/speech_subset.npz"):
        assert word in str(raised.value)
    with pytest.raises(FileNotFoundError, match=r"speech_subset\.npz': not found, and it is never"):
        fetch_speech_commands(tmp_path, subset=True)
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"pip install pooch"):
        fetch_speech_commands(tmp_path)
    with pytest.raises(ValueError, match=r"`subset` must be True, False or 'auto'; got 'all'"):
        fetch_speech_commands(tmp_path, subset="all")


def test_whole_data_go_before_the_subset_and_a_damaged_subset_is_told(tmp_path, folder):
    home = tmp_path / "home"
    (home / "speech").mkdir(parents=True)
    (home / "speech" / "speech_subset.npz").write_bytes(io.BytesIO(b"damaged").read())
    with pytest.raises(ValueError, match=r"speech_subset\.npz' is damaged: expected the SHA-256"):
        fetch_speech_commands(home)
    (folder / "yes").rename(home / "speech" / "yes")
    whole = home / "speech" / "speech_commands_v0.01"
    whole.mkdir()
    (home / "speech" / "yes").rename(whole / "yes")
    assert fetch_speech_commands(home).name == "2 clips of 1 words"


def test_tones_are_told_from_speech_and_always_the_same():
    tones, again = sets.make_tones(30), sets.make_tones(30)
    assert np.array_equal(tones.waveforms, again.waveforms)
    assert tones.name == "30 generated tones (no speech)"
    # The loudest frequency of a clip is the pitch of its class, to a few percent.
    spectrum = abs(np.fft.rfft(tones.waveforms))
    pitch = spectrum.argmax(1)  # Hz: a clip is a second
    assert abs(np.log2(pitch / 200) - tones.target / 3).max() < 0.1
