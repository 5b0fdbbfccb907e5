// What both orchestrations of this scene have in common: the arguments, and which parts of them a task uses.
//
// Arguments: q (in) [batch, heads, dim], keys and values (in) [blocks, block, kv_heads, dim], block_table (in)
// [batch, most blocks of a sequence], lengths (in) [batch], out (out) like q. A sequence of n tokens has token i
// at row i % block of block block_table[sequence][i / block]; n is at least 1. Each of the kv_heads serves
// heads / kv_heads heads of q, one tile.
#ifndef SCENES_PAGED_ATTENTION_PROBLEM_H_
#define SCENES_PAGED_ATTENTION_PROBLEM_H_

#include <algorithm>
#include <cmath>
#include <limits>

#include "trb_graph.h"

enum Kernel { SCORES = 0, SOFTMAX_PREPARE = 1, WEIGHTED_SUM = 2, ONLINE_UPDATE = 3 };

/// What the tasks of one block of one tile of heads work on.
struct Work {
    Tensor q;                      ///< [1, heads of the tile, dim]
    Tensor k;                      ///< [1, tokens, 1, dim], as many tokens as the sequence has in the block
    Tensor v;                      ///< like k
    Tensor out;                    ///< like q
    TensorCreateInfo per_token;    ///< [heads of the tile, tokens]
    TensorCreateInfo per_head;     ///< [heads of the tile]
    TensorCreateInfo per_element;  ///< [heads of the tile, dim]
    float scale;                   ///< factor for scores
    bool last;                     ///< whether the sequence ends here
};

class Problem {
public:
    explicit Problem(const ChipStorageTaskArgs &args)
        : q_(from_tensor_arg(args.tensor(0))),
          keys_(from_tensor_arg(args.tensor(1))),
          values_(from_tensor_arg(args.tensor(2))),
          block_table_(int32_tensor(args.tensor(3))),
          lengths_(int32_tensor(args.tensor(4))),
          out_(from_tensor_arg(args.tensor(5))) {}

    uint32_t sequences() const { return q_.shapes[0]; }
    uint32_t tiles() const { return keys_.shapes[2]; }

    /// Blocks of a sequence.
    uint32_t blocks(uint32_t sequence) const { return (length(sequence) + block() - 1) / block(); }

    /// Running maximum and running sum of one tile, as they are before the first block.
    TaskOutputTensors new_running() const {
        const uint32_t heads = tile();
        TensorCreateInfo max(&heads, 1);
        TensorCreateInfo sum(&heads, 1);
        max.set_initial_value(-std::numeric_limits<float>::infinity());
        sum.set_initial_value(0.0f);
        return alloc_tensors(max, sum);
    }

    /// Block number `index` of a sequence. Fails the run when the table names a block that is not there.
    Work work(uint32_t sequence, uint32_t tile_index, uint32_t index) const {
        const uint32_t rows[] = {1, tile(), dim()};
        const uint32_t first_row[] = {sequence, tile_index * tile(), 0};
        const uint32_t tokens = std::min(block(), length(sequence) - index * block());
        const uint32_t part[] = {1, tokens, 1, dim()};
        const uint32_t first[] = {physical(sequence, index), 0, tile_index, 0};
        const uint32_t per_token[] = {tile(), tokens};
        return Work{q_.view(rows, first_row),
                    keys_.view(part, first),
                    values_.view(part, first),
                    out_.view(rows, first_row),
                    TensorCreateInfo(per_token, 2),
                    TensorCreateInfo(rows + 1, 1),
                    TensorCreateInfo(rows + 1, 2),
                    1.0f / std::sqrt(static_cast<float>(dim())),
                    index + 1 == blocks(sequence)};
    }

private:
    uint32_t block() const { return keys_.shapes[1]; }
    uint32_t dim() const { return q_.shapes[2]; }
    uint32_t tile() const { return q_.shapes[1] / tiles(); }

    uint32_t length(uint32_t sequence) const {
        return static_cast<uint32_t>(get_tensor_data<int32_t>(lengths_, 1, &sequence));
    }

    uint32_t physical(uint32_t sequence, uint32_t index) const {
        const uint32_t entry[] = {sequence, index};
        const auto found = get_tensor_data<int32_t>(block_table_, 2, entry);
        if (found >= 0 && static_cast<uint32_t>(found) < keys_.shapes[0]) {
            return static_cast<uint32_t>(found);
        }
        rt_report_fatal(PTO2_ERROR_INVALID_ARGS, "block %u of sequence %u is block %d of a cache of %u", index,
                        sequence, found, keys_.shapes[0]);
        return 0;
    }

    /// The argument comes as a float tensor that holds the bits of int32.
    static Tensor int32_tensor(const ContinuousTensor &t) {
        return make_tensor_external(t.data_as<void>(), t.shapes, t.ndims, DataType::INT32);
    }

    Tensor q_;
    Tensor keys_;
    Tensor values_;
    Tensor block_table_;
    Tensor lengths_;
    Tensor out_;
};

#endif  // SCENES_PAGED_ATTENTION_PROBLEM_H_
