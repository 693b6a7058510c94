# The linker must not use code compiled for one instruction set elsewhere: everything that these objects define for
# others is in the namespace of their instruction set, and they need nothing but what the compiler itself calls.
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
    if(type MATCHES "^[a-t]$" OR name MATCHES "${own}")  # lower case: local to the file
      math(EXPR count "${count} + 1")
    elseif(NOT type STREQUAL "U" OR NOT name MATCHES "${calls}")
      message(FATAL_ERROR "${object} may only define symbols in gatewise::${ISA}, but has ${name} (${type}).")
    endif()
  endforeach()
endforeach()

if(count EQUAL 0)
  message(FATAL_ERROR "There are no symbols in the objects '${OBJECTS}'.")
endif()
message("${count} symbols, all in gatewise::${ISA}")
