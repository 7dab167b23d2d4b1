#include "core/graph/output_choice.hpp"

#include "core/spec/fields.hpp"

namespace jlcm {

void OutputChoice::fields(Fields& v) {
    v("name", name, Doc{"As the model's file names it."}, Required{});
    v("meaning", meaning,
      Doc{"What its numbers are: KL divergence, agreement and distillation follow it. None: found from the "
          "operators at the output's end (Softmax, LogSoftmax, Sigmoid); an output [n, classes] without them "
          "holds logits, any other values."});
    v("axis", axis,
      Doc{"The dimension of the classes, if a meaning is given. None: the second of four ([n, classes, "
          "height, width]), else the last."});
}

}  // namespace jlcm
