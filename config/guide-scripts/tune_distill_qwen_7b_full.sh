#!/bin/bash
# The guide's fine-tuning. Its paths are the reader's to fill in.
CKPT_LOAD_DIR="your model ckpt path"
CKPT_SAVE_DIR="your model save ckpt path"
DATA_PATH="your data path"
TOKENIZER_PATH="your tokenizer path"

MASTER_ADDR=localhost
MASTER_PORT=6000
NNODES=1
NODE_RANK=0
NPUS_PER_NODE=8
WORLD_SIZE=$(($NPUS_PER_NODE*$NNODES))

TP=1
PP=2
SEQ_LEN=8192

DISTRIBUTED_ARGS="
    --master_addr $MASTER_ADDR --master_port $MASTER_PORT \
    --node_rank $NODE_RANK \
    --worker_num $WORLD_SIZE --local_worker_num $NPUS_PER_NODE \
    --log_dir=msrun_log_finetune \
    --join=False \
    --cluster_time_out=300 \
    --bind_core=True \
"

MODEL_ARGS="
    --use-mcore-models \
    --num-layers 28 --hidden-size 3584 --ffn-hidden-size 18944 \
    --num-attention-heads 28 --group-query-attention --num-query-groups 4 \
    --disable-bias-linear --add-qkv-bias --swiglu \
    --normalization RMSNorm --norm-epsilon 1e-6 \
    --position-embedding-type rope --rotary-base 1000000 \
    --untie-embeddings-and-output-weights \
    --make-vocab-size-divisible-by 1 --padded-vocab-size 152064 \
    --max-position-embeddings ${SEQ_LEN} \
    --tokenizer-type PretrainedFromHF --tokenizer-name-or-path ${TOKENIZER_PATH} --tokenizer-not-use-fast \
"

TRAIN_ARGS="
    --stage sft --is-instruction-dataset --variable-seq-lengths \
    --prompt-type deepseek3 \
    --tensor-model-parallel-size ${TP} \
    --pipeline-model-parallel-size ${PP} \
    --seq-length ${SEQ_LEN} \
    --micro-batch-size 1 \
    --global-batch-size 64 \
    --train-iters 2000 \
    --lr 1.25e-6 --min-lr 1.25e-7 --lr-decay-style cosine --lr-warmup-fraction 0.01 \
    --weight-decay 0.0 --clip-grad 1.0 --adam-beta1 0.9 --adam-beta2 0.95 \
    --use-flash-attn --use-fused-swiglu --use-fused-rmsnorm --use-fused-rotary-pos-emb \
    --reuse-fp32-param --use-distributed-optimizer --overlap-grad-reduce --overlap-param-gather \
    --bf16 \
"

CKPT_ARGS="
    --finetune \
    --no-load-optim --no-load-rng \
    --no-save-optim --no-save-rng \
    --save-interval 2000 \
    --eval-interval 2000 --eval-iters 0 \
    --seed 1234 \
"

msrun $DISTRIBUTED_ARGS posttrain_gpt.py \
    $MODEL_ARGS \
    $TRAIN_ARGS \
    $CKPT_ARGS \
    --data-path $DATA_PATH --split 100,0,0 \
    --load ${CKPT_LOAD_DIR} \
    --save ${CKPT_SAVE_DIR} \
    --log-interval 1 --log-throughput \
    --distributed-backend nccl \
    --ai-framework mindspore \
    | tee logs/tune_mcore_distill_qwen_7b_full_4k.log
