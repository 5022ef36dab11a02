#!/bin/sh
# Memory and start of a base of real size, for docs/measurements.md ("Real size").
# Usage: scripts/measure_real_size.sh BASE ROWS.json FOLDER   (BASE: `glmtune dev random-base --layers 28 ...`; FOLDER: a
# place for output and for the quantized form, with 4 GB free). GLMTUNE names the binary. COLD=1 (as root, on Linux) empties the
# page cache before the cold runs. MICRO_BATCHES: how many of a step (default 16).
set -eu
base=$1 rows=$2 folder=$3
glmtune=${GLMTUNE:-target/release/glmtune}
mkdir -p "$folder"

cold() {
    [ "${COLD:-}" = 1 ] || { echo "(not cold: set COLD=1)"; return 0; }
    sync
    echo 3 > /proc/sys/vm/drop_caches
}

train() {
    /usr/bin/time -f "%e s in all, %U s user, %S s system, peak %M KiB" "$glmtune" train --do_train --train_file "$rows" \
        --prompt_column content --response_column summary --model_name_or_path "$base" --output_dir "$folder/run" \
        --overwrite_output_dir --max_source_length 64 --max_target_length 128 --per_device_train_batch_size 1 \
        --max_steps 1 --logging_steps 1 --quantization_bit 4 "$@" 2>&1 |
        grep -E "in all|train_runtime|quantized form|trainable:|rror|activations"
    rm -rf "$folder/run"
}

# A start is "in all" less train_runtime of a run of one short micro batch.
start() { train --gradient_accumulation_steps 1 --max_train_samples 1 --max_source_length 24 --max_target_length 8 --pre_seq_len 1 "$@"; }

echo "== the files alone"
cold; cat "$base"/*.bin "$base"/*.safetensors 2>/dev/null | (time -p wc -c)
echo "== start, floats read and quantized, cold and then warm"
cold; start --quantized_cache off
start --quantized_cache off
echo "== first start that keeps the quantized form"
rm -rf "$folder/quantized"; start --quantized_cache "$folder/quantized"
echo "== later starts, warm and then cold"
start --quantized_cache "$folder/quantized"
cold; start --quantized_cache "$folder/quantized"

for method in "--pre_seq_len 128" "--method lora --lora_rank 8"; do
    for policy in "always" "auto" "auto --activation_budget 500MB"; do
        for cache in off "$folder/quantized"; do
            echo "== $method, recomputing: $policy, quantized form: $cache"
            # shellcheck disable=SC2086 # several flags each
            train $method --gradient_checkpointing $policy --gradient_accumulation_steps "${MICRO_BATCHES:-16}" \
                --quantized_cache "$cache"
        done
    done
done
