"""Flags of the scripts that MindSpeed-LLM ships, tag v2.2.0."""

# tune_distill_qwen_7b_full.sh's flags but --log-throughput, which the reference itself drops beside --variable-seq-lengths
TUNE = """
--finetune --stage sft --is-instruction-dataset --tokenizer-not-use-fast --variable-seq-lengths
--prompt-type deepseek3 --use-mcore-models --tensor-model-parallel-size 1 --pipeline-model-parallel-size 2
--num-layers 28 --hidden-size 3584 --ffn-hidden-size 18944 --num-attention-heads 28
--max-position-embeddings 8192 --seq-length 8192 --disable-bias-linear --add-qkv-bias --group-query-attention
--num-query-groups 4 --use-flash-attn --swiglu --use-fused-swiglu --normalization RMSNorm --norm-epsilon 1e-6
--use-fused-rmsnorm --position-embedding-type rope --rotary-base 1000000 --use-fused-rotary-pos-emb
--untie-embeddings-and-output-weights --micro-batch-size 1 --global-batch-size 64
--make-vocab-size-divisible-by 1 --padded-vocab-size 152064 --tokenizer-type PretrainedFromHF
--tokenizer-name-or-path T --attention-dropout 0.0 --hidden-dropout 0.0 --train-iters 2000 --lr 1.25e-6
--lr-decay-style cosine --min-lr 1.25e-7 --lr-warmup-fraction 0.01 --init-method-std 0.01 --weight-decay 0.0
--clip-grad 1.0 --adam-beta1 0.9 --adam-beta2 0.95 --initial-loss-scale 4096 --no-gradient-accumulation-fusion
--no-masked-softmax-fusion --attention-softmax-in-fp32 --reuse-fp32-param --use-distributed-optimizer
--overlap-grad-reduce --overlap-param-gather --bf16 --data-path D --split 100,0,0 --no-load-optim --no-load-rng
--no-save-optim --no-save-rng --seed 1234 --log-interval 1 --save-interval 2000 --eval-interval 2000
--eval-iters 0 --load L --save S --distributed-backend nccl --ai-framework mindspore
"""
# generate_distill_qwen_7b.sh; --bf16 and --task are ours
GENERATE = """
--ai-framework mindspore --use-mcore-models --tensor-model-parallel-size 1 --pipeline-model-parallel-size 2
--num-layers 28 --hidden-size 3584 --num-attention-heads 28 --ffn-hidden-size 18944
--max-position-embeddings 8192 --seq-length 8192 --disable-bias-linear --add-qkv-bias --prompt-type deepseek3
--group-query-attention --num-query-groups 4 --swiglu --use-fused-swiglu --normalization RMSNorm
--norm-epsilon 1e-6 --use-fused-rmsnorm --position-embedding-type rope --rotary-base 1000000
--use-fused-rotary-pos-emb --make-vocab-size-divisible-by 1 --padded-vocab-size 152064 --micro-batch-size 1
--max-new-tokens 256 --tokenizer-type PretrainedFromHF --tokenizer-name-or-path T --tokenizer-not-use-fast
--hidden-dropout 0 --attention-dropout 0 --untie-embeddings-and-output-weights
--no-gradient-accumulation-fusion --attention-softmax-in-fp32 --seed 42 --load L --exit-on-missing-checkpoint
--bf16 --task greedy
"""
CONVERT = """
--use-mcore-models --model-type GPT --load-model-type hf --save-model-type mg --target-tensor-parallel-size 2
--target-pipeline-parallel-size 1 --add-qkv-bias --load-dir L --save-dir S --tokenizer-model L/tokenizer.json
--model-type-hf llama2 --params-dtype bf16
"""
