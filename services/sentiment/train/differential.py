#!/usr/bin/env python3
"""Fixtures for the reader in Rust, made by features.py itself: random texts and the character classes of this Python.
usage: differential.py lexicon.tsv DIFFERENTIAL.json UNICODE.txt        (Python 3.11, Unicode 14: the tables the model was trained with)"""
import json, random, struct, sys, unicodedata
import features as F

rnd = random.Random(20240617)
lex = {t: max(-100, min(100, int(round(v * 25)))) / 25 for t, v in F.load_lexicon(sys.argv[1]).items()}
known = sorted(lex)
words = sorted(F.NEG | F.BOOST | F.STOPW)
odd = ["İstanbul", "ΣΟΦΟΣ", "ΟΔΥΣΣΕΎΣ'", "Straße", "ŒUVRE", "ǅungla", "naïve", "नमस्ते", "Ⓖⓞⓞⓓ", "①②", "Ⅷ", "½", "漢字", "三", "العربية", "a\u0301b", "K\u212aelvin", "ſo", "🅰🅱",
       "👍🏽", "❤️", "👨‍👩‍👧", "\x1c", "\x1f", "\x85", "\xa0", "\u200b", "\u3000", "\ufeff", "\x00", "ﬁne", "İ'S", "ΑΣ’S"]
bits = list(" '’-.!?,;:()[]\"@_/\\|<>^*=3oDpP#&\t\n") + ["http://x.y/z", "https://", "www.a", "hw", "@a_B9é", "@", "<3", "</3", "^_^", "^.^", "^^", ":)", ":-(", "=D", ":o)", "(:", ")-;", ":p", "xD:",
        "n't", "’t", "'s", "'LL", "'lll", "'re", "IT'SSS", "don’t", "CAN'T", "sooooo", "!!!!", "...", "..", "????"]


def piece():
    k = rnd.random()
    if k < .25:
        w = rnd.choice(known)
    elif k < .45:
        w = rnd.choice(words)
    elif k < .55:
        w = rnd.choice(odd)
    elif k < .9:
        w = rnd.choice(bits)
    else:
        while True:
            w = chr(rnd.choice([rnd.randrange(0x250), rnd.randrange(0x3000), rnd.randrange(0x1F000, 0x1FB00), rnd.randrange(0x110000)]))
            if unicodedata.category(w) not in ("Cs", "Cn"):
                break
    return rnd.choice([w, w, w, w.upper(), w.title(), w * rnd.randrange(1, 4)])


def digest(pairs):
    """FNV-1a over the hash and the token of every feature, in order"""
    h = 0xcbf29ce484222325
    for f, k in pairs:
        for b in struct.pack("<QI", F.fnv(f), k):
            h = ((h ^ b) * 0x100000001b3) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


out = []
for _ in range(600):
    t = "".join(piece() + rnd.choice(["", "", " ", " ", " "]) for _ in range(rnd.randrange(1, 24)))
    toks = F.tokens(t)
    fs = F.features(t, lex, toks=toks)
    out.append({"text": t, "tokens": [[a, b, w, kind] for _, a, b, w, kind in toks], "features": len(fs), "digest": digest(fs)})
with open(sys.argv[2], "w", encoding="utf-8") as f:
    f.write("[\n" + ",\n".join(json.dumps(o, ensure_ascii=True, separators=(",", ":")) for o in out) + "\n]\n")

runs = []                                                    # first, last, flags of every run of assigned characters
for o in range(0x110000):
    c = chr(o)
    if unicodedata.category(c) in ("Cs", "Cn"):
        continue
    flags = "".join(l if x else "-" for l, x in zip("naSU", (c.isalnum(), c.isalpha(), c.isspace(), c.isupper())))
    if runs and runs[-1][1] == o - 1 and runs[-1][2] == flags:
        runs[-1][1] = o
    else:
        runs.append([o, o, flags])
with open(sys.argv[3], "w", encoding="ascii") as f:
    f.write(f"# isalnum n, isalpha a, isspace S, isupper U of every character of Unicode {unicodedata.unidata_version}, by train/differential.py\n")
    for a, b, flags in runs:
        f.write(f"{a:x} {b:x} {flags}\n")
print(len(out), "texts", len(runs), "runs")
