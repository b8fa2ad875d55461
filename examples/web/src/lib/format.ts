import { differenceInCalendarDays, format, parseISO } from 'date-fns';

const WEIGHT = new Intl.NumberFormat('en-GB', { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export const weight = (tonnes: number): string => `${WEIGHT.format(tonnes)} t`;

export const day = (iso: string): string => format(parseISO(iso), 'd MMM yyyy');

/** How far away a day is, in words a harbour master would use. */
export function distance(iso: string, today: Date): string {
  const days = differenceInCalendarDays(parseISO(iso), today);
  if (days === 0) return 'today';
  if (days === 1) return 'tomorrow';
  if (days === -1) return 'yesterday';
  return days > 0 ? `in ${String(days)} days` : `${String(-days)} days ago`;
}
