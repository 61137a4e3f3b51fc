"""Presidio's pattern recognizers on the sentences that Portico's screening is measured with.

    cargo run --release -p portico-intake --example screening -- texts > texts.ndjson
    python benches/screening.py texts.ndjson [--threshold 0.4]
    python benches/screening.py presidio_synth_v2_DEV.json.gz

Needs presidio-analyzer. Words around a match raise its score as in Presidio's own pipeline; no language model is used, so
that recognizers that need one find nothing. Precision and recall are by sentence, with Wilson's intervals at 95 %.
"""

import argparse
import collections
import gzip
import json
import math
import re

from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine
from presidio_analyzer.predefined_recognizers import (
    AbaRoutingRecognizer, CreditCardRecognizer, EmailRecognizer, IbanRecognizer, IpRecognizer, PhoneRecognizer,
    UsBankRecognizer, UsItinRecognizer, UsLicenseRecognizer, UsMbiRecognizer, UsPassportRecognizer, UsSsnRecognizer)

RULES = {"US_SSN": "us_ssn", "US_ITIN": "us_itin", "CREDIT_CARD": "payment_card", "IBAN_CODE": "iban",
         "US_BANK_NUMBER": "bank_account", "ABA_ROUTING_NUMBER": "bank_account", "US_DRIVER_LICENSE": "driver_license",
         "US_PASSPORT": "passport", "US_MBI": "medicare_number", "EMAIL_ADDRESS": "email_address",
         "PHONE_NUMBER": "phone_number", "IP_ADDRESS": "ip_address"}


class Words(NlpEngine):
    """Words in lower case, for the search for context."""

    engine_name = "words"
    is_available = True

    def load(self):
        pass

    def is_loaded(self):
        return True

    def process_text(self, text, language):
        found = list(re.finditer(r"\w+(?:'\w+)?", text))
        tokens = [Token(match.group(), match.start()) for match in found]
        return NlpArtifacts([], Tokens(tokens), [match.start() for match in found], [token.text.lower() for token in tokens],
                            self, language)

    def process_batch(self, texts, language, **_):
        for text in texts:
            yield text, self.process_text(text, language)

    def is_stopword(self, word, language):
        return False

    def is_punct(self, word, language):
        return False

    def get_supported_entities(self):
        return []

    def get_supported_languages(self):
        return ["en"]


class Token:
    def __init__(self, text, idx):
        self.text, self.idx = text, idx

    def __len__(self):
        return len(self.text)


class Tokens(list):
    pass


def wilson(right, of):
    if of == 0:
        return 0.0, 1.0
    share, z = right / of, 1.959964
    middle, width = share + z * z / (2 * of), z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return (middle - width) / (1 + z * z / of), (middle + width) / (1 + z * z / of)


def part(right, of):
    low, high = wilson(right, of)
    return f"{right:>5}/{of:<5} {right / of if of else math.nan:.3f} ({low:.3f} to {high:.3f})"


def sentences(path):
    if path.endswith(".gz"):
        for item in json.load(gzip.open(path)):
            yield item["full_text"], {RULES.get(span["entity_type"]) for span in item["spans"]}
    else:
        for line in open(path):
            item = json.loads(line)
            yield item["text"], set(item["labels"])


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("file")
    arguments.add_argument("--threshold", type=float, default=0.0)
    arguments = arguments.parse_args()
    registry = RecognizerRegistry(supported_languages=["en"])
    for kind in (AbaRoutingRecognizer, CreditCardRecognizer, EmailRecognizer, IbanRecognizer, IpRecognizer, PhoneRecognizer,
                 UsBankRecognizer, UsItinRecognizer, UsLicenseRecognizer, UsMbiRecognizer, UsPassportRecognizer,
                 UsSsnRecognizer):
        registry.add_recognizer(kind())
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=Words(), supported_languages=["en"])
    counts = collections.defaultdict(lambda: [0, 0, 0])
    for text, labels in sentences(arguments.file):
        results = analyzer.analyze(text, language="en", score_threshold=arguments.threshold)
        found = {RULES[result.entity_type] for result in results if result.score > 0 and result.entity_type in RULES}
        for rule in set(RULES.values()):
            place = {(True, True): 0, (True, False): 1, (False, True): 2}.get((rule in labels, rule in found))
            if place is not None:
                counts[rule][place] += 1
    for rule in sorted(counts):
        right, missed, wrong = counts[rule]
        print(f"{rule:28} precision {part(right, right + wrong)}  recall {part(right, right + missed)}")


main()
