# Of an instruction set's objects the linker may take nothing for another's: all that they define for others lies in
# the namespace of that instruction set, and all that they need is what the compiler itself calls.
#
#   cmake -D NM=nm -D ISA=avx2 -D "OBJECTS=…;…" -P check_symbols.cmake

string(LENGTH "${ISA}" length)
set(own "^_ZN8gatewise${length}${ISA}")
set(calls "^(_GLOBAL_OFFSET_TABLE_|mem(cpy|set|move|cmp))$")
set(count 0)

foreach(object ${OBJECTS})
  execute_process(COMMAND ${NM} -P ${object} OUTPUT_VARIABLE lines COMMAND_ERROR_IS_FATAL ANY)
  string(REPLACE "\n" ";" lines "${lines}")
  foreach(line ${lines})
    string(REGEX MATCH "^([^ ]+) ([^ ]+)" found "${line}")
    set(name "${CMAKE_MATCH_1}")
    set(type "${CMAKE_MATCH_2}")
    if(type MATCHES "^[a-t]$" OR name MATCHES "${own}")  # lower case: seen by no other file
      math(EXPR count "${count} + 1")
    elseif(NOT type STREQUAL "U" OR NOT name MATCHES "${calls}")
      message(FATAL_ERROR "${object} must keep to gatewise::${ISA}, but has the symbol ${name} (${type}).")
    endif()
  endforeach()
endforeach()

if(count EQUAL 0)
  message(FATAL_ERROR "There are no symbols in the objects '${OBJECTS}'.")
endif()
message("${count} symbols, all in gatewise::${ISA}")
