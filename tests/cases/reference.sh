#!/usr/bin/env bash
# docs/reference.md is what jlcm-reference makes of the declarations in the code.
set -euo pipefail

page=$JLCM_SOURCE/docs/reference.md
if [[ ! -f $page ]]; then
    echo "there is no docs/reference.md"
    exit 77
fi
"$JLCM_BIN/jlcm-reference" >reference.md
diff -u "$page" reference.md || {
    echo "docs/reference.md is stale: jlcm-reference > docs/reference.md" >&2
    exit 1
}
