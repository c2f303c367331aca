#!/bin/bash
# The guide's answers.
CHECKPOINT="your model directory path"
TOKENIZER_PATH="your tokenizer directory path"

MASTER_ADDR=localhost
MASTER_PORT=6000
NNODES=1
NODE_RANK=0
# the guide's change for a single card, whose WORLD_SIZE it changes too
NPUS_PER_NODE=1
WORLD_SIZE=1

TP=1
PP=2
SEQ_LENGTH=8192

DISTRIBUTED_ARGS="
    --master_addr $MASTER_ADDR --master_port $MASTER_PORT \
    --node_rank $NODE_RANK \
    --worker_num $WORLD_SIZE --local_worker_num $NPUS_PER_NODE \
    --log_dir=msrun_log_generate \
    --join=False \
    --cluster_time_out=300 \
    --bind_core=True \
"

msrun $DISTRIBUTED_ARGS inference.py \
    --ai-framework mindspore \
    --use-mcore-models \
    --tensor-model-parallel-size ${TP} \
    --pipeline-model-parallel-size ${PP} \
    --num-layers 28 --hidden-size 3584 --ffn-hidden-size 18944 \
    --num-attention-heads 28 --group-query-attention --num-query-groups 4 \
    --disable-bias-linear --add-qkv-bias --swiglu --use-fused-swiglu \
    --normalization RMSNorm --norm-epsilon 1e-6 --use-fused-rmsnorm \
    --position-embedding-type rope --rotary-base 1000000 --use-fused-rotary-pos-emb \
    --untie-embeddings-and-output-weights \
    --make-vocab-size-divisible-by 1 --padded-vocab-size 152064 \
    --max-position-embeddings ${SEQ_LENGTH} \
    --seq-length ${SEQ_LENGTH} \
    --prompt-type deepseek3 \
    --micro-batch-size 1 \
    --max-new-tokens 256 \
    --tokenizer-type PretrainedFromHF --tokenizer-name-or-path ${TOKENIZER_PATH} --tokenizer-not-use-fast \
    --seed 42 \
    --load ${CHECKPOINT} \
    --exit-on-missing-checkpoint \
    | tee logs/generate_mcore_distill_qwen_7b.log
