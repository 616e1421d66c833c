# Extracts the code of the guide in docs/policies.md. Writes the header of the
# example policy, and a copy of the registry that includes and lists the policy.
#
#   cmake -DGUIDE=... -DREGISTRY=... -DOUT=... -P apply_guide.cmake

# take_block(start out): sets `out` to the first C++ code block of the guide
# that begins with `start`.
function(take_block start out)
  string(FIND "${guide}" "\n```cpp\n${start}" begin)
  if(begin EQUAL -1)
    message(FATAL_ERROR "${GUIDE}: no code block begins with: ${start}")
  endif()
  math(EXPR begin "${begin} + 8")
  string(SUBSTRING "${guide}" ${begin} -1 rest)
  string(FIND "${rest}" "```" length)
  string(SUBSTRING "${rest}" 0 ${length} block)
  set(${out} "${block}" PARENT_SCOPE)
endfunction()

# insert_before(mark text): inserts `text` into the registry before `mark`,
# which must occur exactly once.
function(insert_before mark text)
  string(FIND "${registry}" "${mark}" first)
  string(FIND "${registry}" "${mark}" last REVERSE)
  if(first EQUAL -1 OR NOT first EQUAL last)
    message(FATAL_ERROR "${REGISTRY}: must contain exactly once: ${mark}")
  endif()
  string(REPLACE "${mark}" "${text}${mark}" registry "${registry}")
  set(registry "${registry}" PARENT_SCOPE)
endfunction()

file(READ ${GUIDE} guide)
string(FIND "${guide}" "\n## Writing a policy\n" begin)
string(SUBSTRING "${guide}" ${begin} -1 guide)
file(READ ${REGISTRY} registry)

take_block("// policies/short_wait.h\n" header)
take_block("#include \"policies/short_wait.h\"" include)
take_block("    {\"short_wait\"" entry)
# The guide asks for alphabetical order.
insert_before("#include \"policies/timed_wait.h\"" "${include}")
insert_before("    {\"timed_wait\"" "${entry}")

file(WRITE ${OUT}/policies/short_wait.h "${header}")
file(WRITE ${OUT}/policies/registry.cc "${registry}")
