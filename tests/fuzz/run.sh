#!/usr/bin/env bash
# Run the fuzz tests again and again, each time with another seed, until the time is used up.
#
#   tests/fuzz/run.sh [SECONDS]     the seed of a failing run is printed, and repeats it
set -euo pipefail
cd "$(dirname "$0")/../.."
export HYPOTHESIS_PROFILE=${HYPOTHESIS_PROFILE:-fuzz}
end=$((SECONDS + ${1:-120}))
round=0
while [ "$round" = 0 ] || [ "$SECONDS" -lt "$end" ]; do
    round=$((round + 1))
    seed=$((RANDOM * 32768 + RANDOM))
    echo "fuzz: round $round, --hypothesis-seed=$seed"
    .venv/bin/python -m pytest -q --timeout=900 --hypothesis-seed="$seed" tests/fuzz
done
