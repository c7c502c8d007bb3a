/* A sensor that watches itself: a GRU forecasts the next reading, and a reading far from its forecast raises an alarm.

   examples/sensor.py trains the model and writes forecaster.c and forecaster.h next to a copy of this file. The program
   reads one number per line and prints, for each, the reading, its forecast and whether it is an alarm:

       cc -O2 sensor.c forecaster.c -o sensor && ./sensor < readings.txt

   No memory is allocated: the state of the model is a static struct. */
#include <stdio.h>

#include "forecaster.h"

/* Readings further than this from their forecast are alarms. */
#define LARGEST_ERROR 0.5f
#define WARM_UP_STEPS 32

static forecaster_state state;

int main(void) {
    float reading, forecast = 0.0f;
    long step = 0, alarms = 0;
    forecaster_init(&state);
    while (scanf("%f", &reading) == 1) {
        const float error = reading > forecast ? reading - forecast : forecast - reading;
        const int alarm = step >= WARM_UP_STEPS && error > LARGEST_ERROR;
        printf("%.4f %.4f %s\n", (double)reading, (double)forecast, alarm ? "alarm" : "ok");
        alarms += alarm;
        /* After an alarm the model continues from its forecast, not from the reading. */
        if (alarm) {
            reading = forecast;
        }
        forecaster_step(&state, &reading, &forecast);
        ++step;
    }
    fprintf(stderr, "%ld readings, %ld alarms\n", step, alarms);
    return 0;
}
